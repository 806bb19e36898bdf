"""The vectors of pairs and of a gradient, side by side, to be multiplied and combined."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, Vector
from erasurehead.parts import CHUNK

BLOCK = 1024
"""Numbers of each row that lie side by side: enough that products are found at the speed of memory,
few enough that what they are multiplied with stays at hand."""


class PairRows:
    """A few long vectors, the rows, of which only the first ones need be in use.

    All rows of a block of columns lie side by side, so that memory is read from one end to the
    other. Blocks make up the chunks of `erasurehead.parts`, and methods that work on some columns
    take whole chunks of them.

    Parameters
    ----------
    n_rows: how many there are; all begin as zeros.
    n_columns: their length.
    dtype: of what is kept and multiplied.

    Attributes
    ----------
    dtype: of what is kept.
    """

    def __init__(self, n_rows: int, n_columns: int, dtype: str) -> None:
        self._n_columns = n_columns
        self._block = min(1 << (n_columns - 1).bit_length(), BLOCK)
        n_blocks = -(-n_columns // self._block)
        # What is beyond the columns stays 0.
        self._blocks = np.zeros((n_blocks, n_rows, self._block), dtype=dtype)
        self.dtype = self._blocks.dtype

    def padded(self) -> Vector:
        """Return zeros for another vector to multiply; what is beyond the columns must stay 0."""
        return np.zeros(len(self._blocks) * self._block, dtype=self.dtype)

    def write(self, row: int, values: Vector, here: slice) -> None:
        """Write some columns of a row; `values` has their length."""
        blocks, whole = self._in_blocks(here)[:, row], len(values) // self._block
        blocks[:whole] = values[: whole * self._block].reshape(whole, self._block)
        if whole < len(blocks):
            rest = values[whole * self._block :]
            blocks[whole, : len(rest)] = rest

    def add(self, row: int, values: Vector, here: slice) -> None:
        """Add to some columns of a row; `values` has their length."""
        blocks, whole = self._in_blocks(here)[:, row], len(values) // self._block
        blocks[:whole] += values[: whole * self._block].reshape(whole, self._block)
        if whole < len(blocks):
            rest = values[whole * self._block :]
            blocks[whole, : len(rest)] += rest

    def read(self, row: int, here: slice) -> FloatArray:
        """Return a copy of some columns of a row, in double precision, shape (columns,)."""
        found = self._in_blocks(here)[:, row].astype(np.float64).reshape(-1)
        return found[: here.stop - here.start]

    def row(self, row: int) -> Vector:
        """Return a row, as it is kept; only to be read."""
        found: Vector = self._blocks[:, row].reshape(-1)[: self._n_columns]
        return found

    def clear(self, rows: slice) -> None:
        """Make zeros of some rows."""
        self._blocks[:, rows] = 0.0

    def multiply(self, vector: Vector | None, here: slice, of_chunks: FloatArray) -> None:
        """Find the products of the first rows with a vector on some columns.

        Parameters
        ----------
        vector: of all columns, `padded`; None: row 0.
        of_chunks: the products with each chunk of all columns, shape (chunks, rows in use); those
            of the columns are put there.
        """
        rows = self._in_blocks(here)[:, : of_chunks.shape[1]]
        if vector is None:
            columns = rows[:, 0]
        else:
            first = here.start // self._block
            columns = vector.reshape(-1, self._block)[first : first + len(rows)]
        # In one call: threads that begin many short ones wait for each other to begin.
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.vecdot(rows, columns[:, None])
        begins = np.arange(0, len(found), CHUNK // self._block)
        of_part = of_chunks[here.start // CHUNK :][: len(begins)]
        np.add.reduceat(found, begins, axis=0, dtype=np.float64, out=of_part)

    def combine(self, weights: FloatArray, here: slice) -> Vector:
        """Return the sum of the first rows with these weights, shape (rows,), on some columns."""
        rows = self._in_blocks(here)[:, : len(weights)]
        # BLAS takes half as long again for matrices as small as that, and threads for larger ones.
        found: Vector = np.einsum("r,brk->bk", weights.astype(self.dtype), rows).reshape(-1)
        return found[: here.stop - here.start]

    def _in_blocks(self, here: slice) -> npt.NDArray[Any]:
        """Return some columns as a view of shape (blocks, rows, length of a block)."""
        return self._blocks[here.start // self._block : -(-here.stop // self._block)]
