"""What a gradient estimate is: it applies a decoder's weights to the vectors that arrive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.coding.base import FloatArray, IntArray
from erasurehead.decoding.base import Decoding

Vector = npt.NDArray[Any]
"""A coded gradient on its support, shape (len(support),), float64 or float32."""

BLOCK_COLUMNS = 1 << 15
"""Columns worked on at a time: a few such blocks fit a core's second-level cache."""


class GradientEstimate(ABC):
    """Sums weighted coded gradients of one round after another.

    `begin`; then `fold` or `hold` for each symbol, as its decoder said; then `finish`. `late` may
    come at any time. Beside each vector goes the symbol's coded loss sum, weighted alike.

    A support is the sorted array of the columns that a vector's values belong to; None means all
    columns. `values` may be kept as they are, so nobody may change them afterwards.
    """

    @abstractmethod
    def begin(self) -> None:
        """Start a round with nothing in it."""

    @abstractmethod
    def fold(
        self, symbol: int, support: IntArray | None, values: Vector, weight: float, loss: float = 0
    ) -> None:
        """Add a symbol whose weight is known; the decoding's scale is applied at the end."""

    @abstractmethod
    def hold(self, symbol: int, support: IntArray | None, values: Vector, loss: float = 0) -> None:
        """Keep a symbol whose weight is known only when the round closes."""

    @abstractmethod
    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sum of all task gradients, shape (n_columns,), and of the losses.

        The array is the estimate's own: the caller may scale it in place, and it is valid until
        the next `finish`.
        """

    def late(  # noqa: B027
        self, symbol: int, support: IntArray | None, values: Vector, age: int = 1
    ) -> None:
        """Take note of a result for the round `age` rounds ago; most estimates have no use."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold between two rounds; the estimate's own arrays."""
        return {}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027
        """Go on from what `state` returned."""


class Accumulator:
    """A dense sum of sparse vectors.

    Vectors are worked through in blocks that fit a core's cache together with their scratch space:
    the sum is bound by memory, and each vector is read once.

    Parameters
    ----------
    n_columns: length of the sum.
    """

    def __init__(self, n_columns: int) -> None:
        self.sum: FloatArray = np.zeros(n_columns)
        self._scratch: FloatArray = np.empty(min(n_columns, BLOCK_COLUMNS))

    def clear(self) -> None:
        """Set the sum to zero."""
        self.sum[:] = 0.0

    def add(self, support: IntArray | None, values: Vector, weight: float) -> None:
        """Add weight * values on the support's columns."""
        if weight == 1.0 and values.dtype == np.float64:
            self._add(slice(None) if support is None else support, values)
            return
        for block in blocks(len(values)):
            part = values[block]
            weighted = self._scratch[: len(part)]
            np.multiply(part, weight, out=weighted, dtype=np.float64)
            self._add(block if support is None else support[block], weighted)

    def add_block(self, block: slice, support: IntArray | None, values: FloatArray) -> None:
        """Add the values of one block of a vector on that support."""
        self._add(block if support is None else support[block], values)

    def _add(self, where: slice | IntArray, values: FloatArray) -> None:
        if isinstance(where, slice):
            part = self.sum[where]
            np.add(part, values, out=part)
        else:
            # Twice as fast as sum[support] += values; the columns of a support are distinct.
            np.add.at(self.sum, where, values)


def blocks(length: int) -> Iterator[slice]:
    """Yield the blocks of a vector, in order."""
    for lo in range(0, length, BLOCK_COLUMNS):
        yield slice(lo, min(lo + BLOCK_COLUMNS, length))
