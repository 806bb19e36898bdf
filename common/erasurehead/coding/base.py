"""What a gradient code is: which slot computes which tasks, with which coefficients.

Notation (docs/codes.md): k slots (workers), n tasks with gradients g_1..g_n. The code's matrix A
has one row a *symbol*, one column a task; symbol i is the coded gradient y_i = sum_j A[i, j] g_j.
Nearly every code has one symbol a slot, so row i is slot i. Two families need more:

* partial gradient codes answer a round with two messages, each one symbol (`n_messages` = 2);
* complex codes answer with the real and the imaginary part of one symbol, two real vectors in one
  message (`n_vectors` = 2).

Symbol ``(slot * n_messages + message) * n_vectors + vector`` is row of A in that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from erasurehead.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class GradientCode:
    """An assignment matrix with its structure.

    Attributes
    ----------
    name: the registry's name of the family.
    matrix: A, shape (k * n_messages * n_vectors, n), float64 CSR; no row is empty unless its slot
        has nothing to do.
    n_workers: k, the number of slots.
    tolerance: any set of this many stragglers still lets the sum of all task gradients be decoded
        exactly; 0 where there is no such guarantee.
    n_messages: results a slot sends a round.
    n_vectors: real vectors in one result.
    """

    name: str
    matrix: csr_array
    n_workers: int
    tolerance: int = 0
    n_messages: int = 1
    n_vectors: int = 1

    @property
    def n_tasks(self) -> int:
        """n, the number of row blocks the data is cut into."""
        return int(self.matrix.shape[1])

    @property
    def n_symbols(self) -> int:
        """Rows of the matrix."""
        return int(self.matrix.shape[0])

    @property
    def symbols_per_slot(self) -> int:
        """Symbols that one slot sends in a round, over all its messages."""
        return self.n_messages * self.n_vectors

    def symbols(self, slot: int, message: int = 0) -> range:
        """Return the rows of A that arrive with this message of this slot."""
        first = (slot * self.n_messages + message) * self.n_vectors
        return range(first, first + self.n_vectors)

    def row(self, symbol: int) -> tuple[IntArray, FloatArray]:
        """Return (tasks, coefficients) of one symbol, tasks ascending."""
        lo, hi = self.matrix.indptr[symbol], self.matrix.indptr[symbol + 1]
        tasks = self.matrix.indices[lo:hi].astype(np.int64)
        return tasks, self.matrix.data[lo:hi].astype(np.float64)

    def tasks_of(self, slot: int) -> IntArray:
        """Return the tasks a slot holds, ascending; their count is the slot's load."""
        if self.symbols_per_slot == 1:
            return self.row(slot)[0]
        rows = [self.row(s)[0] for m in range(self.n_messages) for s in self.symbols(slot, m)]
        return np.unique(np.concatenate(rows)) if rows else np.zeros(0, dtype=np.int64)

    @cached_property
    def loads(self) -> IntArray:
        """Tasks per slot, shape (k,)."""
        if self.symbols_per_slot == 1:
            return np.asarray(np.diff(self.matrix.indptr), dtype=np.int64)
        return np.array([len(self.tasks_of(i)) for i in range(self.n_workers)], dtype=np.int64)

    @cached_property
    def replication(self) -> IntArray:
        """Slots per task, shape (n,)."""
        if self.symbols_per_slot == 1:
            return np.bincount(self.matrix.indices, minlength=self.n_tasks).astype(np.int64)
        counts = np.zeros(self.n_tasks, dtype=np.int64)
        for slot in range(self.n_workers):
            counts[self.tasks_of(slot)] += 1
        return counts


@dataclass(frozen=True, eq=False)
class RepetitionCode(GradientCode):
    """A code whose slots fall into groups that all send the same symbol, one group a block.

    Attributes
    ----------
    group_of_slot: shape (k,), the block each slot computes. Blocks partition the tasks. A block
        may have no slot at all (batched coupon collector).
    block_of_task: shape (n,).
    """

    group_of_slot: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    block_of_task: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def n_blocks(self) -> int:
        """B, the number of blocks."""
        return int(self.block_of_task.max()) + 1

    @cached_property
    def block_sizes(self) -> IntArray:
        """Tasks per block, shape (B,)."""
        return np.bincount(self.block_of_task, minlength=self.n_blocks).astype(np.int64)

    @cached_property
    def group_sizes(self) -> IntArray:
        """Slots per block, shape (B,)."""
        return np.bincount(self.group_of_slot, minlength=self.n_blocks).astype(np.int64)


def repetition_code(
    name: str, group_of_slot: IntArray, block_of_task: IntArray, tolerance: int | None = None
) -> RepetitionCode:
    """Build the code in which each slot sends the plain sum of its group's block.

    Parameters
    ----------
    group_of_slot, block_of_task: as the attributes of `RepetitionCode`.
    tolerance: default: the size of the smallest group, less one.
    """
    n_blocks = int(block_of_task.max()) + 1
    by_block = np.argsort(block_of_task, kind="stable").astype(np.int64)
    ends = np.cumsum(np.bincount(block_of_task, minlength=n_blocks))
    blocks = np.split(by_block, ends[:-1])
    rows = [(blocks[b], np.ones(len(blocks[b]))) for b in group_of_slot]
    if tolerance is None:
        tolerance = max(0, int(np.bincount(group_of_slot, minlength=n_blocks).min()) - 1)
    return RepetitionCode(
        name=name,
        matrix=matrix_from_rows(rows, len(block_of_task)),
        n_workers=len(group_of_slot),
        tolerance=tolerance,
        group_of_slot=group_of_slot,
        block_of_task=block_of_task,
    )


def code_from_rows(
    name: str, rows: list[tuple[IntArray, FloatArray]], n_tasks: int, **structure: int
) -> GradientCode:
    """Build a plain code from one (tasks, coefficients) pair a symbol.

    `structure` passes `n_workers` and, where they apply, `tolerance`, `n_messages`, `n_vectors`.
    """
    return GradientCode(name=name, matrix=matrix_from_rows(rows, n_tasks), **structure)


def matrix_from_rows(rows: list[tuple[IntArray, FloatArray]], n_tasks: int) -> csr_array:
    """Stack (tasks, coefficients) pairs into a CSR matrix of shape (len(rows), n_tasks).

    A task with coefficient zero is not stored, for nobody has to hold it; rows of zeros alone (the
    imaginary part of a real row) stay as they are.
    """
    rows = [(tasks[c != 0], c[c != 0]) if np.any(c) else (tasks, c) for tasks, c in rows]
    indptr = np.concatenate([[0], np.cumsum([len(tasks) for tasks, _ in rows])])
    indices = np.concatenate([tasks for tasks, _ in rows]) if rows else np.zeros(0, np.int64)
    data = np.concatenate([c for _, c in rows]) if rows else np.zeros(0)
    matrix = csr_array((data, indices, indptr), shape=(len(rows), n_tasks), dtype=np.float64)
    matrix.sort_indices()
    return matrix
