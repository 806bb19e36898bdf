"""How units curve by themselves, and what the mean of their anchors leaves out of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray, IntArray


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
        return self.values * (vector if self.support is None else vector[self.support])

    def add_to(self, total: FloatArray, values: FloatArray) -> None:
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

    Memory: three vectors of all parameters, the curvatures, and while a round is open as much again
    as these.

    Parameters
    ----------
    curvatures: of all units; empty for those that no slot sends.
    n_units: n, how many can be heard.
    n_parameters: length of a vector.
    """

    def __init__(
        self, curvatures: Sequence[UnitCurvature], n_units: int, n_parameters: int
    ) -> None:
        self._curvatures = curvatures
        self._n_units = n_units
        self._total, self._of_anchors = np.zeros(n_parameters), np.zeros(n_parameters)
        """sum_u C_u and sum_u C_u a_u of the units that are heard."""
        self._moved, self._moves = np.empty(n_parameters), False
        """The second sum after the round's arrivals, if there are any."""
        self._scale = 1.0
        self._ahead: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = {}

    def take(self, anchors: Mapping[int, FloatArray]) -> None:
        """Begin with the anchors, shape (n_parameters,), of these units: all that are heard."""
        self._moves = False
        self._take_total(anchors)
        if len({id(anchor) for anchor in anchors.values()}) == 1:
            np.multiply(self._total, next(iter(anchors.values())), out=self._of_anchors)
            return
        self._of_anchors[:] = 0.0
        for unit, anchor in anchors.items():
            of_unit = self._curvatures[unit]
            of_unit.add_to(self._of_anchors, of_unit.times(anchor))

    def look_along(self, unit: int, point: FloatArray, anchor: FloatArray) -> FloatArray:
        """Return C_u (point - anchor) on the unit's support: what changes if it arrives.

        That can be found before it does.
        """
        ahead = self._ahead.get(unit)
        if ahead is None or ahead[0] is not point or ahead[1] is not anchor:
            of_unit = self._curvatures[unit]
            found = of_unit.times(point)
            found -= of_unit.times(anchor)
            self._ahead[unit] = ahead = point, anchor, found
        return ahead[2]

    def forget(self) -> None:
        """Forget what was found ahead: the round is over."""
        self._ahead.clear()
        self._moves = False

    def move(self, unit: int, point: FloatArray, anchor: FloatArray) -> None:
        """Let a unit that is heard move its anchor to a point, if the round is absorbed."""
        if not self._moves:
            self._moved[:] = self._of_anchors
            self._moves = True
        self._curvatures[unit].add_to(self._moved, self.look_along(unit, point, anchor))

    def absorb(self) -> None:
        """Go on from where units have moved in the round."""
        if self._moves:
            self._of_anchors, self._moved = self._moved, self._of_anchors
            self._moves = False

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
