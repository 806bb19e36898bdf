"""How units curve by themselves, and what the mean of their anchors leaves out of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray, Vector


@dataclass(frozen=True, slots=True, eq=False)
class UnitCurvature:
    """The diagonal C_u of what a unit adds to the Hessian of the mean loss, or to its bound.

    Attributes
    ----------
    support: the parameters with values above 0, ascending; None: all of them.
    values: shape (len(support),).
    """

    support: IntArray | None
    values: FloatArray

    def times(self, vector: FloatArray) -> FloatArray:
        """Return C_u v on the support, for a vector of all parameters."""
        return self.values * self.of(vector)

    def of(self, vector: Vector) -> Vector:
        """Return what a vector of all parameters is on the support."""
        return vector if self.support is None else vector.take(self.support)

    def add_to(self, total: Vector, values: Vector) -> None:
        """Add values on the support to a vector of all parameters."""
        if self.support is None:
            total += values
        else:
            np.add.at(total, self.support, values)


class AnchorSpread:
    """sum_u C_u (a - a_u): what gradients remembered at anchors a_u are short of at their mean a.

    If units curved alike, that would be 0: what one anchor is before the mean, others are behind.
    But a column that one unit alone has is felt by no other. While that unit is not heard, the mean
    anchor moves on along the column, and the remembered slope, which is that of the unit's own
    anchor, would pull it ever further. Each unit's own diagonal says how the slope has changed on
    the way. Pairs of (a, the gradient with this added) are pairs of the objective up to what units
    differ off their diagonals.

    Where only n' of n units are heard, they stand for all, and the sum is n/n' times theirs.

    Memory: two vectors of all parameters, and the curvatures twice.

    Parameters
    ----------
    curvatures: of all units; empty for those that no slot sends.
    n_units: n, how many can be heard.
    inverse_root: D^-1/2 for the metric D, shape (n_parameters,).
    dtype: of what is found in the metric.
    """

    def __init__(
        self,
        curvatures: Sequence[UnitCurvature],
        n_units: int,
        inverse_root: FloatArray,
        dtype: npt.DTypeLike,
    ) -> None:
        self._curvatures = curvatures
        self._n_units = n_units
        self._total, self._of_anchors = np.zeros((2, len(inverse_root)))
        """sum_u C_u and sum_u C_u a_u of the units that are heard."""
        self._scale = 1.0
        inverse = inverse_root**2
        self._in_metric = [
            (of_unit.values * (inverse if s is None else inverse[s])).astype(dtype)
            for of_unit in curvatures
            for s in [of_unit.support]
        ]

    @property
    def stiffness(self) -> FloatArray:
        """How the sum grows as the mean does, for each parameter; another array."""
        return self._scale * self._total

    def take(self, anchors: Mapping[int, FloatArray]) -> None:
        """Begin with the anchors, shape (n_parameters,), of these units: all that are heard."""
        self._take_total(anchors)
        if len({id(anchor) for anchor in anchors.values()}) == 1:
            np.multiply(self._total, next(iter(anchors.values())), out=self._of_anchors)
            return
        self._of_anchors[:] = 0.0
        for unit, anchor in anchors.items():
            of_unit = self._curvatures[unit]
            of_unit.add_to(self._of_anchors, of_unit.times(anchor))

    def move(self, unit: int, point: FloatArray, anchor: FloatArray) -> None:
        """Let a unit that is heard move its anchor to a point."""
        of_unit = self._curvatures[unit]
        moved = of_unit.times(point)
        moved -= of_unit.times(anchor)
        of_unit.add_to(self._of_anchors, moved)

    def add_fall(self, unit: int, way: Vector, total: Vector) -> None:
        """Add how the sum will fall, as D^-1/2 times it, when a unit moves its anchor.

        Parameters
        ----------
        way: D^1/2 (point - anchor), shape (n_parameters,).
        total: it is added there, on the unit's support; of the same shape.
        """
        of_unit = self._curvatures[unit]
        fall = self._in_metric[unit] * of_unit.of(way)
        if self._scale != 1.0:
            fall *= self._scale
        of_unit.add_to(total, fall)

    def put(self, mean: FloatArray, here: slice, out: FloatArray) -> None:
        """Put a chunk of the sum into `out`, of the chunk's length.

        `mean` is the mean anchor, shape (n_parameters,).
        """
        np.multiply(self._total[here], mean[here], out=out)
        out -= self._of_anchors[here]
        if self._scale != 1.0:
            out *= self._scale

    def state(self) -> FloatArray:
        """Return what a checkpoint must hold besides which units are heard, shape (n_parameters,);
        an own array."""
        return self._of_anchors

    def load_state(self, state: FloatArray, heard: Collection[int]) -> None:
        """Go on from what `state` returned, with the units that were heard."""
        self._take_total(heard)
        self._of_anchors[:] = state

    def _take_total(self, heard: Collection[int]) -> None:
        self._scale = self._n_units / max(len(heard), 1)
        self._total[:] = 0.0
        # In this order after a crash, too, to the last bit.
        for unit in sorted(heard):
            of_unit = self._curvatures[unit]
            of_unit.add_to(self._total, of_unit.values)
