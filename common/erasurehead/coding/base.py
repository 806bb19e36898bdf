"""What a gradient code is: which slot computes which tasks, with which coefficients.

Notation (docs/codes.md): k slots (workers), n tasks with gradients g_1..g_n. The code's matrix A
has one row a *symbol*, one column a task; symbol i is the coded gradient y_i = sum_j A[i, j] g_j.
Nearly every code has one symbol a slot, so row i is slot i. Some need more:

* partial gradient codes answer a round in two parts, each one symbol (`n_parts` = 2);
* codes with *partial results* send each task of a slot as a part that counts by itself
  (`counts_parts`);
* complex codes answer with the real and the imaginary part of one symbol, two real vectors in one
  part (`n_vectors` = 2).

Symbol ``(slot * n_parts + part) * n_vectors + vector`` is row of A in that order.

What else is known of a code (its groups, how few arrivals suffice, ...) is an attribute of it, so
that no module has to ask for its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.groups import Groups


@dataclass(frozen=True, eq=False)
class GradientCode:
    """An assignment matrix with its structure.

    Attributes
    ----------
    name: the registry's name of the family.
    matrix: A, shape (k * n_parts * n_vectors, n), float64 CSR; no row is empty unless its slot
        has nothing to do.
    n_workers: k, the number of slots.
    tolerance: any set of this many stragglers still lets the sum of all task gradients be decoded
        exactly; 0 where there is no such guarantee.
    n_parts: results a slot sends a round.
    counts_parts: each part is an arrival by itself, and a slot's time passes evenly over its parts;
        else a slot has arrived with its last part.
    n_vectors: real vectors in one result.
    groups: of equal symbols, if the code is made of them (repetition).
    fewer_suffice: whether fewer than k - `tolerance` arrivals ever hold the full gradient: False:
        never (with probability one), True: now and then, None: the code does not say.
    shared_tasks: how many tasks any two slots share, in a block design; None in other codes.
    follows_graph: the matrix is 1/d times the adjacency matrix of a d-regular graph.
    """

    name: str
    matrix: csr_array
    n_workers: int
    tolerance: int = 0
    n_parts: int = 1
    counts_parts: bool = False
    n_vectors: int = 1
    groups: Groups | None = None
    fewer_suffice: bool | None = None
    shared_tasks: int | None = None
    follows_graph: bool = False

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
        """Symbols that one slot sends in a round, over all its parts."""
        return self.n_parts * self.n_vectors

    @cached_property
    def unit_of_symbol(self) -> IntArray:
        """The unit that a cache remembers a symbol under, shape (n_symbols,).

        A unit is a group, or a symbol where there are no groups.
        """
        if self.groups is None:
            return np.arange(self.n_symbols, dtype=np.int64)
        return self.groups.of_symbol

    @property
    def arrivals_per_slot(self) -> int:
        """Arrivals of a slot in a round: one, or one a part where parts count."""
        return self.n_parts if self.counts_parts else 1

    @property
    def n_arrivals(self) -> int:
        """Arrivals of a round to which all slots answer. Number `slot * arrivals_per_slot + part`
        is that of a part where parts count, number `slot` that of a slot where they do not."""
        return self.n_workers * self.arrivals_per_slot

    @cached_property
    def arrival_of_symbol(self) -> IntArray:
        """The number of the arrival with which a symbol comes, shape (n_symbols,)."""
        return np.arange(self.n_symbols) * self.n_arrivals // max(1, self.n_symbols)

    @property
    def unit_of_arrival(self) -> IntArray:
        """The first unit that each arrival renews, shape (n_arrivals,)."""
        return self.unit_of_symbol[:: self.n_symbols // self.n_arrivals]

    @cached_property
    def n_units(self) -> int:
        """Different units that arrivals renew."""
        return len(np.unique(self.unit_of_arrival))

    @property
    def delay_shares(self) -> FloatArray:
        """How much of an injected delay is waited out before each part, shape (n_parts,).

        All of it before the first one, unless parts count: a worker that is slow is as slow at
        each of its tasks.
        """
        if self.counts_parts:
            return np.full(self.n_parts, 1.0 / self.n_parts)
        return np.asarray(np.arange(self.n_parts) == 0, dtype=np.float64)

    def symbols(self, slot: int, part: int = 0) -> range:
        """Return the rows of A that arrive with this part of this slot's answer."""
        first = (slot * self.n_parts + part) * self.n_vectors
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
        rows = [self.row(s)[0] for p in range(self.n_parts) for s in self.symbols(slot, p)]
        return np.unique(np.concatenate(rows))

    @cached_property
    def by_task(self) -> csc_array:
        """The transpose of A, shape (n, n_symbols); it shares A's entries."""
        return self.matrix.T

    @cached_property
    def magnitudes_by_task(self) -> csc_array:
        """The absolute values of `by_task`."""
        return abs(self.by_task)

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


def repetition_code(name: str, groups: Groups, n_parts: int = 1) -> GradientCode:
    """Build the code in which each symbol is the plain sum of its group's block.

    It tolerates as many stragglers as the smallest group has symbols, less one.

    Parameters
    ----------
    n_parts: symbols of a slot, each of another group: results that count by themselves.
    """
    by_block = np.argsort(groups.of_task, kind="stable").astype(np.int64)
    blocks = np.split(by_block, np.cumsum(groups.block_sizes)[:-1])
    rows = [(blocks[b], np.ones(len(blocks[b]))) for b in groups.of_symbol]
    return GradientCode(
        name=name,
        matrix=matrix_from_rows(rows, len(groups.of_task)),
        n_workers=len(groups.of_symbol) // n_parts,
        tolerance=max(0, int(groups.sizes.min()) - 1),
        n_parts=n_parts,
        counts_parts=n_parts > 1,
        groups=groups,
    )


def code_from_rows(
    name: str, rows: list[tuple[IntArray, FloatArray]], n_tasks: int, **structure: Any
) -> GradientCode:
    """Build a plain code from one (tasks, coefficients) pair a symbol, both of shape (load,).

    `structure` passes `n_workers` and, where they apply, other attributes of `GradientCode`.
    """
    return GradientCode(name=name, matrix=matrix_from_rows(rows, n_tasks), **structure)


def matrix_from_rows(rows: list[tuple[IntArray, FloatArray]], n_tasks: int) -> csr_array:
    """Stack (tasks, coefficients) pairs into a CSR matrix of shape (len(rows), n_tasks).

    A task with coefficient zero is not stored, because no slot has to hold it; rows of zeros alone
    (the imaginary part of a real row) stay as they are.
    """
    rows = [(tasks[c != 0], c[c != 0]) if np.any(c) else (tasks, c) for tasks, c in rows]
    indptr = np.concatenate([[0], np.cumsum([len(tasks) for tasks, _ in rows])])
    indices = np.concatenate([tasks for tasks, _ in rows]) if rows else np.zeros(0, np.int64)
    data = np.concatenate([c for _, c in rows]) if rows else np.zeros(0)
    matrix = csr_array((data, indices, indptr), shape=(len(rows), n_tasks), dtype=np.float64)
    matrix.sort_indices()
    return matrix
