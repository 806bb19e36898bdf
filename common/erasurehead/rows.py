"""Rows of data, mapped from a store, streamed or made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from erasurehead.arrays import Array, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Target = Literal["two classes", "classes", "numbers"]
"""What labels are: -1 and +1; classes 0, 1, 2, ...; or numbers."""

LARGEST_SQUARED = 1e150
"""The square of a larger number is none, and neither is the loss of its row."""

SQUARED_AT_ONCE = 1 << 20
"""Entries, at most, of which squares are held at one time."""

ROWS_AT_ONCE = 1 << 14
"""Rows, at most, of which weighted squares are held at one time."""


@dataclass(frozen=True, eq=False)
class CsrRows:
    """Rows as CSR arrays.

    Attributes
    ----------
    indptr: shape (rows + 1,), from 0.
    indices: columns, shape (non-zeros,).
    values: shape (non-zeros,), or None when all are one.
    labels: shape (rows,); what they are, the manifest of the store says.
    n_columns: columns of the whole store.
    weights: what each row counts for, shape (rows,); None: one.
    offsets: what is added to the model's output of each row, shape (rows,); None: nothing.
    """

    indptr: Array
    indices: Array
    values: Array | None
    labels: Array
    n_columns: int
    weights: Array | None = None
    offsets: Array | None = None

    def rows(self, lo: int, hi: int) -> CsrRows:
        """Return rows lo to hi - 1; their entries are views."""
        first, last = int(self.indptr[lo]), int(self.indptr[hi])
        return CsrRows(
            indptr=np.asarray(self.indptr[lo : hi + 1]) - first,
            indices=self.indices[first:last],
            values=None if self.values is None else self.values[first:last],
            labels=self.labels[lo:hi],
            n_columns=self.n_columns,
            weights=None if self.weights is None else self.weights[lo:hi],
            offsets=None if self.offsets is None else self.offsets[lo:hi],
        )

    def column_squares(self, weights: FloatArray | None = None) -> FloatArray:
        """Return the sum of the squares of each column's entries, shape (n_columns,).

        In pieces, so that rows may be mapped; the pieces, and so the last bits, are always the
        same.

        Parameters
        ----------
        weights: what each row's squares count for, shape (rows,); None: one.
        """
        if weights is None:
            squares = ColumnSquares(self.n_columns)
            squares.add(self.indices, self.values)
            return squares.total
        total = np.zeros(self.n_columns)
        for lo in range(0, len(self.labels), ROWS_AT_ONCE):
            rows = self.rows(lo, min(lo + ROWS_AT_ONCE, len(self.labels)))
            counts = np.repeat(weights[lo : lo + ROWS_AT_ONCE], np.diff(rows.indptr))
            if rows.values is not None:
                counts *= np.square(np.asarray(rows.values))
            total += np.bincount(rows.indices, counts, self.n_columns)
        return total

    def matrix(self) -> csr_array:
        """Return the rows as a scipy matrix, with explicit ones where they are implied.

        Where the two have different types, `csr_array` makes both index arrays those of the wider
        (findings/scipy-index-types.sh); so the pointers, which are the fewer, take the indices'.
        """
        # Not at the top: rows can be read and cut without scipy, whose import takes its time.
        from scipy.sparse import csr_array

        indices = np.asarray(self.indices)
        values = np.ones(len(indices)) if self.values is None else np.asarray(self.values)
        fits = len(indices) <= np.iinfo(indices.dtype).max
        indptr = np.asarray(self.indptr).astype(indices.dtype if fits else np.int64)
        return csr_array((values, indices, indptr), shape=(len(self.labels), self.n_columns))


class ColumnSquares:
    """Sums the squares of each column's entries, of rows that come in blocks.

    They are added in pieces of `SQUARED_AT_ONCE` entries, however the rows come, so that the last
    bits are always the same.
    """

    def __init__(self, n_columns: int) -> None:
        self._sum = np.zeros(n_columns)
        self._waiting: list[tuple[Array, Array | None]] = []
        self._entries = 0

    def add(self, indices: Array, values: Array | None) -> None:
        """Take entries in, shape (entries,); values of None are ones."""
        lo = 0
        while lo < len(indices):
            hi = min(len(indices), lo + SQUARED_AT_ONCE - self._entries)
            piece = slice(lo, hi)
            self._waiting.append((indices[piece], None if values is None else values[piece]))
            self._entries += hi - lo
            if self._entries == SQUARED_AT_ONCE:
                self._sum += self._squares()
                self._waiting, self._entries = [], 0
            lo = hi

    @property
    def total(self) -> FloatArray:
        """The sums so far, shape (n_columns,)."""
        return self._sum + self._squares() if self._waiting else self._sum

    def _squares(self) -> FloatArray:
        indices = np.concatenate([indices for indices, _ in self._waiting])
        values = [values for _, values in self._waiting if values is not None]
        squares = np.square(np.concatenate(values)) if values else None
        return np.bincount(indices, squares, len(self._sum)).astype(np.float64, copy=False)
