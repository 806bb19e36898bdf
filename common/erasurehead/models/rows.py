"""A worker's rows on its own columns, in chunks.

The *support* of a worker is the sorted set of columns its rows touch; models and gradients travel
as values on it, and the rows' column indices are renumbered to positions in it. Rows are cut into
chunks once, at fixed places, so that a worker can give a round up between two chunks and yet its
results depend on nothing but the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.errors import DataError
from erasurehead.rows import CsrRows

CHUNK_NONZEROS = 1 << 19
"""Non-zeros in a chunk: a few milliseconds of work."""

SMALL_DENSE_ENTRIES = 1 << 20
"""Mostly non-zero rows of at most this many entries (8 MB) become a plain array."""

IndexArray = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some rows as a model takes them.

    Attributes
    ----------
    matrix: shape (rows, columns), CSR or plain; a worker's has the columns of its support only. A
        row may name a column twice. Use it in products: scipy's `sum`, `max`, `abs` and others
        merge such entries first, in place, and raise ValueError where the entries are shared.
    transposed: `matrix` transposed, sharing its memory.
    labels: shape (rows,).
    offsets: what is added to the output of each row, shape (rows,); None: nothing.
    """

    matrix: Any
    transposed: Any
    labels: FloatArray
    offsets: FloatArray | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk(Piece):
    """Successive rows of a worker, as views of its arrays.

    Attributes
    ----------
    coefficients: shape (n_parts, n_vectors, rows), or None when all are one.
    """

    coefficients: FloatArray | None

    def used_by(self, part: int) -> bool:
        """Return whether a row of this chunk belongs to `part`."""
        return self.coefficients is None or bool(self.coefficients[part].any())


@dataclass(frozen=True, eq=False)
class LocalRows:
    """The rows a worker holds; made by `LocalRowsBuilder`.

    Vector v of part p is sum_rows coefficient[p, v, row] * gradient(row).

    Attributes
    ----------
    support: the columns touched, ascending, int32; None stands for all columns.
    n_support: how many they are.
    chunks: the rows, in the order they were added.
    n_rows, n_parts, n_vectors: sizes.
    n_bytes: memory held for the rows.
    """

    support: IndexArray | None
    n_support: int
    chunks: tuple[Chunk, ...]
    n_rows: int
    n_parts: int
    n_vectors: int
    n_bytes: int

    @cached_property
    def bounds(self) -> IntArray:
        """The place of the first row of each chunk, and the number of rows, shape (chunks + 1,)."""
        return np.cumsum([0, *(len(chunk.labels) for chunk in self.chunks)])

    @cached_property
    def chunks_of(self) -> list[list[int]]:
        """Of each part, the numbers of the chunks that its rows are in."""
        numbered = [(i, chunk) for i, chunk in enumerate(self.chunks) if len(chunk.labels)]
        return [[i for i, chunk in numbered if chunk.used_by(part)] for part in range(self.n_parts)]


def pieces(rows: CsrRows, n_rows: int) -> Iterator[Piece]:
    """Yield the rows on all columns, `n_rows` at a time, so that a mapped store stays on disk.

    What rows count for is not there; see `erasurehead.models.weighing`.
    """
    for lo in range(0, len(rows.labels), n_rows):
        block = rows.rows(lo, min(lo + n_rows, len(rows.labels)))
        matrix = block.matrix()
        offsets = None if block.offsets is None else np.asarray(block.offsets)
        yield Piece(matrix, matrix.T, np.asarray(block.labels), offsets=offsets)


class LocalRowsBuilder:
    """Collects row blocks, then renumbers their columns to the support.

    At no time are there two copies of the rows: each block is freed as it is renumbered.

    Parameters
    ----------
    n_columns: columns of the store.
    weights_shape: (n_parts, n_vectors) of the code.
    dense_share: a support above this share of the columns is taken to be all columns.
    all_columns: whether it is all columns in any case.
    chunk_nonzeros: non-zeros in a chunk; part of what the last bits of a result depend on.

    Raises
    ------
    DataError: there are more columns than a worker can index (2^31 - 1).
    """

    def __init__(
        self,
        n_columns: int,
        weights_shape: tuple[int, int] = (1, 1),
        *,
        dense_share: float = 1.0,
        all_columns: bool = False,
        chunk_nonzeros: int = CHUNK_NONZEROS,
    ) -> None:
        if n_columns >= 1 << 31:
            raise DataError(f"{n_columns} columns are too many; a worker can index 2**31 - 1")
        self._weights_shape = weights_shape
        self._dense_share = dense_share
        self._all_columns = all_columns
        self._chunk_nonzeros = chunk_nonzeros
        self._touched = np.zeros(n_columns, dtype=np.bool_)
        self._lengths: list[IntArray] = []
        self._indices: deque[IndexArray] = deque()
        self._values: deque[FloatArray | None] = deque()
        self._labels: list[FloatArray] = []
        self._coefficients: list[FloatArray | None] = []
        self._weights: list[FloatArray | None] = []
        self._offsets: list[FloatArray | None] = []

    def add(
        self,
        rows: CsrRows,
        coefficients: npt.NDArray[Any] | None = None,
        weights: npt.NDArray[Any] | None = None,
    ) -> None:
        """Append a block of rows; everything is copied.

        Parameters
        ----------
        rows: of which `indptr` may start anywhere, only differences matter.
        coefficients: shape (n_parts, n_vectors) when the block's rows share them, else with a
            last axis of rows; None when all are one.
        weights: what each row counts for, shape (rows,), in place of what `rows` say of it; they
            multiply the coefficients. None when all are one.

        Raises
        ------
        DataError: the arrays do not fit together, or a column is out of range.
        """
        indices, values, labels = rows.indices, rows.values, rows.labels
        lengths = np.diff(rows.indptr).astype(np.int64)
        if len(lengths) != len(labels) or lengths.sum() != len(indices):
            raise DataError(
                f"a block of rows has {len(lengths)} row lengths adding up to {lengths.sum()}, but"
                f" {len(labels)} labels and {len(indices)} column indices; send it again whole"
            )
        if values is not None and len(values) != len(indices):
            raise DataError(
                f"a block of rows has {len(indices)} column indices but {len(values)} values;"
                " send it again whole"
            )
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self._touched):
            raise DataError(
                f"a block of rows has column indices from {indices.min()} to {indices.max()};"
                f" expected 0 to {len(self._touched) - 1}"
            )
        self._touched[indices] = True
        self._lengths.append(lengths)
        self._indices.append(np.array(indices, dtype=np.int32))
        self._values.append(_unless_ones(values))
        self._labels.append(np.array(labels, dtype=np.float64))
        shares = _unless_ones(coefficients)
        if shares is not None:
            if shares.ndim == len(self._weights_shape):
                shares = shares[..., np.newaxis]
            shares = np.broadcast_to(shares, (*self._weights_shape, len(labels)))
        self._coefficients.append(shares)
        self._weights.append(_unless_ones(weights))
        offsets = rows.offsets
        self._offsets.append(None if offsets is None else np.array(offsets, dtype=np.float64))

    def finish(self) -> LocalRows:
        """Return the rows on their support, at once; the builder is empty afterwards."""
        for rows in self.steps():
            if rows is not None:
                return rows
        raise AssertionError("steps() always ends with the rows")

    def steps(self) -> Iterator[LocalRows | None]:
        """Yield None after each block is renumbered, and the rows at the end."""
        support, position = self._support()
        n_support = len(self._touched) if support is None else len(support)
        indptr = np.cumsum(np.concatenate([np.zeros(1, np.int64), *self._lengths]))
        labels = np.concatenate([np.zeros(0), *self._labels])
        coefficients = self._all_coefficients()
        # Parts are told apart by the code alone: a row of no weight must not begin a chunk.
        bounds = _chunk_bounds(indptr, coefficients, self._chunk_nonzeros)
        coefficients = self._weighed(coefficients)
        offsets = self._joined(self._offsets, 0.0)
        if self._better_dense(indptr, n_support):
            matrix = np.zeros((len(labels), n_support))
            for _ in self._fill_dense(position, matrix):
                yield None
            blocks = [(matrix[lo:hi], matrix[lo:hi].T) for lo, hi in bounds]
            n_bytes = matrix.nbytes
        else:
            indices = np.empty(indptr[-1], dtype=np.int32)
            weighted = any(v is not None for v in self._values)
            values = np.empty(len(indices)) if weighted else None
            for _ in self._fill_sparse(position, indices, values):
                yield None
            blocks = _csr_blocks(bounds, indptr, indices, values, n_support)
            n_bytes = indices.nbytes + 4 * len(indptr) + (0 if values is None else values.nbytes)
        chunks = tuple(
            Chunk(
                matrix=matrix,
                transposed=transposed,
                labels=labels[lo:hi],
                coefficients=None if coefficients is None else coefficients[:, :, lo:hi],
                offsets=None if offsets is None else offsets[lo:hi],
            )
            for (matrix, transposed), (lo, hi) in zip(blocks, bounds, strict=True)
        )
        per_row = (labels, coefficients, offsets)
        n_bytes += sum(array.nbytes for array in per_row if array is not None)
        n_parts, n_vectors = self._weights_shape
        yield LocalRows(support, n_support, chunks, len(labels), n_parts, n_vectors, n_bytes)

    def _support(self) -> tuple[IndexArray | None, IndexArray]:
        """Return the support (None: all columns) and the position of each column in it."""
        n_columns = len(self._touched)
        if not self._touched.any():
            # Rows of zeros need no parameter, but models and gradients have one value at least.
            self._touched[:1] = True
        count = int(np.count_nonzero(self._touched))
        if self._all_columns or count == n_columns or count > self._dense_share * n_columns:
            return None, np.arange(n_columns, dtype=np.int32)
        position = np.cumsum(self._touched, dtype=np.int32)
        position -= 1
        return np.flatnonzero(self._touched).astype(np.int32), position

    def _all_coefficients(self) -> FloatArray | None:
        if all(c is None for c in self._coefficients):
            return None
        blocks = [
            np.ones((*self._weights_shape, len(labels))) if c is None else c
            for c, labels in zip(self._coefficients, self._labels, strict=True)
        ]
        return np.concatenate(blocks, axis=2)

    def _weighed(self, coefficients: FloatArray | None) -> FloatArray | None:
        """Return the coefficients times what rows count for."""
        weights = self._joined(self._weights, 1.0)
        if weights is None:
            return coefficients
        if coefficients is None:
            coefficients = np.ones((*self._weights_shape, len(weights)))
        coefficients *= weights
        return coefficients

    def _joined(self, arrays: list[FloatArray | None], otherwise: float) -> FloatArray | None:
        """Return numbers of all rows from those of each block; None: there are none."""
        if all(array is None for array in arrays):
            return None
        return np.concatenate(
            [
                np.full(len(labels), otherwise) if array is None else array
                for array, labels in zip(arrays, self._labels, strict=True)
            ]
        )

    def _better_dense(self, indptr: IntArray, n_support: int) -> bool:
        n_rows, nonzeros = len(indptr) - 1, int(indptr[-1])
        entries = n_rows * n_support
        if 2 * nonzeros <= entries or not entries:
            return False
        sparse_bytes = 4 * nonzeros + sum(v.nbytes for v in self._values if v is not None)
        return entries <= SMALL_DENSE_ENTRIES or 8 * entries <= sparse_bytes

    def _fill_dense(self, position: IndexArray, matrix: FloatArray) -> Iterator[None]:
        row = 0
        for lengths in self._lengths:
            indices, values = self._indices.popleft(), self._values.popleft()
            data = np.ones(len(indices)) if values is None else values
            indptr = np.concatenate([[0], np.cumsum(lengths)])
            block = csr_array((data, position[indices], indptr), (len(lengths), matrix.shape[1]))
            matrix[row : row + len(lengths)] = block.toarray()
            row += len(lengths)
            yield

    def _fill_sparse(
        self, position: IndexArray, indices: IndexArray, values: FloatArray | None
    ) -> Iterator[None]:
        at = 0
        while self._indices:
            block, weights = self._indices.popleft(), self._values.popleft()
            here = slice(at, at + len(block))
            np.take(position, block, out=indices[here], mode="clip")
            if values is not None:
                values[here] = 1.0 if weights is None else weights
            at += len(block)
            yield


def _unless_ones(values: npt.NDArray[Any] | None) -> FloatArray | None:
    """Return a copy of `values` in double precision, or None when all are one.

    Values of any other type would take less memory, but scipy makes doubles of them at each
    product, which costs 1.3 to 2.5 times the time (`benchmarks/row_types.py`).
    """
    if values is None or bool(np.all(values == 1)):
        return None
    return np.array(values, dtype=np.float64)


def _chunk_bounds(
    indptr: IntArray, coefficients: FloatArray | None, chunk_nonzeros: int
) -> list[tuple[int, int]]:
    """Cut rows where a chunk is full, or where the set of parts they belong to changes."""
    n_rows = len(indptr) - 1
    stops = [n_rows]
    if coefficients is not None and coefficients.shape[0] > 1:
        used = np.any(coefficients != 0, axis=1)
        changes = (used[:, 1:] != used[:, :-1]).any(axis=0)
        stops = [*(np.flatnonzero(changes) + 1).tolist(), n_rows]
    bounds = []
    first = 0
    for stop in stops:
        while first < stop:
            full = np.searchsorted(indptr, indptr[first] + chunk_nonzeros, side="right") - 1
            last = min(max(int(full), first + 1), stop)
            bounds.append((first, last))
            first = last
    return bounds


def _csr_blocks(
    bounds: list[tuple[int, int]],
    indptr: IntArray,
    indices: IndexArray,
    values: FloatArray | None,
    n_support: int,
) -> list[tuple[Any, Any]]:
    """Return the rows within each pair of bounds as CSR views, plain and transposed.

    Implied ones are shared by all.
    """
    longest = max((int(indptr[hi] - indptr[lo]) for lo, hi in bounds), default=0)
    ones = np.ones(longest)
    # scipy's max() of one block would otherwise change what all blocks share.
    ones.flags.writeable = False
    blocks = []
    for lo, hi in bounds:
        here = slice(int(indptr[lo]), int(indptr[hi]))
        data = ones[: here.stop - here.start] if values is None else values[here]
        pointers = (indptr[lo : hi + 1] - indptr[lo]).astype(np.int32)
        matrix = csr_array((hi - lo, n_support))
        transposed = csc_array((n_support, hi - lo))
        for block in (matrix, transposed):
            # Not by the constructor: it copies views that are less than half of their base.
            block.data, block.indices, block.indptr = data, indices[here], pointers
        blocks.append((matrix, transposed))
    return blocks
