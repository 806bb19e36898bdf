"""What a gradient estimate is: it applies a decoder's weights to the vectors that arrive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import daxpy

from erasurehead.coding.base import FloatArray, IntArray
from erasurehead.decoding.base import Decoding

Vector = npt.NDArray[Any]
"""A coded gradient on its support, shape (len(support),), float64 or float32."""

AXPY_COLUMNS = 1 << 13
"""BLAS adds longer vectors with several threads, which wait for each other: on a node that is busy
with workers that costs more than the sum itself."""


class GradientEstimate(ABC):
    """Sums weighted coded gradients of one round after another.

    `begin`; then `fold` or `hold` for each symbol, as its decoder said; then `finish`. `late` may
    come at any time. Beside each vector goes the symbol's coded loss sum, weighted alike.

    A support is the sorted array of the columns that a vector's values belong to; None means all
    columns. `values` may be kept as they are, so nobody may change them afterwards.
    """

    @property
    def memory(self) -> list[int] | None:
        """For each symbol, the unit whose remembered value it renews when it arrives.

        None if nothing is remembered from round to round.
        """
        return None

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

    Dense vectors are added at the speed of memory: each is read once, and nothing else is.

    Parameters
    ----------
    n_columns: length of the sum.
    """

    def __init__(self, n_columns: int) -> None:
        self.sum: FloatArray = np.zeros(n_columns)
        self._scratch: FloatArray = np.empty(0)

    def clear(self) -> None:
        """Set the sum to zero."""
        self.sum[:] = 0.0

    def add(self, support: IntArray | None, values: Vector, weight: float) -> None:
        """Add weight * values on the support's columns."""
        native = values.dtype == np.float64
        if weight == -1.0 and native:
            if support is None:
                self.sum -= values
            else:
                np.subtract.at(self.sum, support, values)
            return
        if support is None and native and weight != 1.0:
            for block in blocks(len(values), AXPY_COLUMNS):
                n, lo = block.stop - block.start, block.start
                daxpy(values, self.sum, n, weight, lo, 1, lo, 1)  # in place
            return
        if weight != 1.0 or not native:
            if len(self._scratch) < len(values):
                self._scratch = np.empty(len(values))
            weighted = self._scratch[: len(values)]
            values = np.multiply(values, weight, out=weighted, dtype=np.float64)
        if support is None:
            self.sum += values
        else:
            # Twice as fast as sum[support] += values; the columns of a support are distinct.
            np.add.at(self.sum, support, values)


def blocks(length: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that make up a vector, in order."""
    for lo in range(0, length, size):
        yield slice(lo, min(lo + size, length))
