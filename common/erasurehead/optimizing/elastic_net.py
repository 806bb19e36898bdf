"""A penalty by which parameters become exactly 0."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.optimizing.penalty import L2, NONE, Penalty


class ElasticNet(L2):
    """h(theta) = l1 ||theta||_1 + (l2/2) ||theta||^2; with l2 = 0, the lasso's.

    (Zou, Hastie, "Regularization and variable selection via the elastic net", 2005.) The first
    part has no gradient where a parameter is 0. Methods take its proximal step, which sets those
    parameters to 0 that the rest of a step has left within the threshold.

    Parameters
    ----------
    l1, l2: weights of at least 0.
    spared: parameters that both norms leave out, ascending.
    """

    def __init__(self, l1: float, l2: float, spared: IntArray = NONE) -> None:
        super().__init__(l2, spared)
        self.l1 = l1

    @property
    def smooth(self) -> bool:
        """Whether there is no L1 norm after all."""
        return not self.l1

    def value(self, theta: FloatArray) -> float:
        """Return h(theta)."""
        norm = float(np.abs(theta).sum() - np.abs(theta[self._spared]).sum())
        return super().value(theta) + self.l1 * norm

    def add_to(self, gradient: FloatArray, theta: FloatArray) -> None:
        """Add the subgradient of h with which the sum is shortest, in place: 0 at a minimum."""
        super().add_to(gradient, theta)
        thresholds = self._thresholds(1.0, slice(0, len(theta)), len(theta))
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - thresholds, 0.0)
        beside = gradient + thresholds * np.sign(theta)
        gradient[:] = np.where(theta == 0, at_zero, beside)

    def descend(
        self,
        point: FloatArray,
        gradient: FloatArray,
        eta: float,
        here: slice,
        scratch: FloatArray,
    ) -> None:
        """Take a gradient step on all but the L1 norm, then its proximal step."""
        super().descend(point, gradient, eta, here, scratch)
        self.shrink(point, eta, here)

    def shrink(self, point: FloatArray, sizes: FloatArray | float, here: slice) -> None:
        """Bring each parameter nearer to 0 by its size times l1, but not beyond 0."""
        part = point[here]
        thresholds = self._thresholds(sizes, here, len(part))
        np.copysign(np.maximum(np.abs(part) - thresholds, 0.0), part, out=part)
        part[part == 0.0] = 0.0  # none is -0

    def _thresholds(self, sizes: FloatArray | float, here: slice, n: int) -> FloatArray:
        thresholds = np.full(n, self.l1)
        thresholds *= sizes
        if len(self._spared):
            thresholds[self._spared_in(here)] = 0.0
        return thresholds


def make_penalty(l1: float, l2: float, spared: IntArray) -> Penalty:
    """Return the penalty with these weights of at least 0."""
    return ElasticNet(l1, l2, spared) if l1 else L2(l2, spared)
