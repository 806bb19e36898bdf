"""Weighted sums of long vectors, at the speed of memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erasurehead.arrays import FloatArray, IntArray, Vector
from erasurehead.blas import add_weighted
from erasurehead.parts import InParts

PENDING_VECTORS = 8
"""How many vectors `JointSums` lets wait: enough that sums are read little beside them."""


class Accumulator:
    """A dense sum of sparse vectors.

    Dense vectors are added at the speed of memory: each is read once, and nothing else is.

    Parameters
    ----------
    n_parameters: length of the sum.
    """

    def __init__(self, n_parameters: int) -> None:
        self.n_parameters = n_parameters
        self._sum: FloatArray = np.zeros(n_parameters)
        # The first dense vector takes the place of what is there, so that zeros are never written.
        self._is_clear = False

    @property
    def sum(self) -> FloatArray:
        """The sum, shape (n_parameters,); the accumulator's own array, valid until `clear`."""
        if self._is_clear:
            self._sum[:] = 0.0
            self._is_clear = False
        return self._sum

    def clear(self) -> None:
        """Set the sum to zero."""
        self._is_clear = True

    def add(self, support: IntArray | None, values: Vector, weight: float) -> None:
        """Add weight * values, shape (support,), on the support's parameters; None: on all."""
        if support is None:
            self.add_part(values, weight, slice(0, self.n_parameters), first=self.begin())
        elif weight == -1.0 and values.dtype == np.float64:
            np.subtract.at(self.sum, support, values)
        else:
            if weight != 1.0 or values.dtype != np.float64:
                values = np.multiply(values, weight, dtype=np.float64)
            # Twice as fast as sum[support] += values; the parameters of a support are distinct.
            np.add.at(self.sum, support, values)

    def begin(self) -> bool:
        """Get ready for a dense vector in parts; return whether it takes the place of zeros."""
        first, self._is_clear = self._is_clear, False
        return first

    def add_part(self, values: Vector, weight: float, part: slice, *, first: bool = False) -> None:
        """Add weight * values on a part of the parameters, `first` as `begin` returned it.

        `values` has shape (n_parameters,); only the part of it is read.
        """
        if first:
            np.multiply(values[part], weight, out=self._sum[part], dtype=np.float64)
        else:
            add_weighted(self._sum[part], values[part], weight)


Share = tuple[Accumulator, float]
"""A sum and the weight with which a vector is added to it."""


class JointSums:
    """Adds each vector to one or several accumulators, with a weight for each.

    A few dense vectors wait for each other, by reference, and are then added in parts, each read
    from memory once: what is read before `flush` lacks them. Sparse ones are added at once, since
    several cores take as long as one to scatter them.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Vector, Sequence[Share]]] = []

    def add(self, support: IntArray | None, values: Vector, shares: Sequence[Share]) -> None:
        """Add weight * values on the support's parameters to every accumulator with its weight."""
        if support is None:
            self._pending.append((values, shares))
            return
        for accumulator, weight in shares:
            accumulator.add(support, values, weight)

    @property
    def is_empty(self) -> bool:
        """Whether none wait."""
        return not self._pending

    @property
    def is_full(self) -> bool:
        """Whether enough wait."""
        return len(self._pending) >= PENDING_VECTORS

    def flush(self, in_parts: InParts) -> None:
        """Add whatever waits."""
        if not self._pending:
            return
        additions = [
            (accumulator, values, weight, accumulator.begin())
            for values, shares in self._pending
            for accumulator, weight in shares
        ]

        def add_all(part: slice) -> None:
            for accumulator, values, weight, first in additions:
                accumulator.add_part(values, weight, part, first=first)

        in_parts(len(self._pending[0][0]), add_all)
        self.drop()

    def drop(self) -> None:
        """Forget whatever waits."""
        self._pending = []
