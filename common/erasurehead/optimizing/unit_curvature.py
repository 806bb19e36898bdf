"""How units curve by themselves, and what the mean of their anchors leaves out of that."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.optimizing.finding import Renewal

LEAST_LEFT = 2.0**-10
"""Share of a bound that is taken to be left at least."""


def all_left(loss: float) -> float:
    """Say that the curvature is the bound, whatever the loss."""
    return 1.0


@dataclass(frozen=True, slots=True, eq=False)
class UnitCurvature:
    """The diagonal C_u of what a unit adds to the Hessian of the mean loss, or to its bound.

    Attributes
    ----------
    support: the parameters with values above 0, ascending; None: all of them.
    values: shape (len(support),).
    left: returns the share of the bound that is left at a loss, which is what the unit adds to the
        mean loss.
    """

    support: IntArray | None
    values: FloatArray
    left: Callable[[float], float] = all_left

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

    The bound of a curvature may be far above it: rows that a logistic model explains well hardly
    curve. Of each unit, the share counts that its loss at its anchor leaves, to the next power of
    two, so that it changes seldom.

    Where only n' of n units are heard, they stand for all, and the sum is n/n' times theirs.

    Memory: two vectors of all parameters, the curvatures, and while a round is open as much again
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
        """sum_u C_u and sum_u C_u a_u of the units that are heard, of each the share left."""
        self._left = np.ones(len(curvatures))
        """Share of C_u that counts, of each unit."""
        self._heard: list[int] = []
        self._scale = 1.0
        self._ahead: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = {}

    def take(self, anchors: Mapping[int, FloatArray], losses: Mapping[int, float]) -> None:
        """Begin with the anchors of these units, which are all that are heard.

        Parameters
        ----------
        losses: what each adds to the mean loss there.
        """
        for unit in anchors:
            self._left[unit] = self._left_at(unit, losses[unit])
        self._take_total(anchors)
        if len({id(anchor) for anchor in anchors.values()}) == 1:
            np.multiply(self._total, next(iter(anchors.values())), out=self._of_anchors)
            return
        self._of_anchors[:] = 0.0
        for unit, anchor in anchors.items():
            of_unit = self._curvatures[unit]
            of_unit.add_to(self._of_anchors, self._left[unit] * of_unit.times(anchor))

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

    def move(self, renewals: Sequence[Renewal]) -> None:
        """Let units that are heard move their anchors."""
        others_left = False
        for renewal in renewals:
            assert renewal.known is not None
            unit, fresh = renewal.unit, renewal.fresh
            of_unit, before = self._curvatures[unit], self._left[unit]
            change = self.look_along(unit, fresh.point, renewal.known.point)
            left = self._left_at(unit, renewal.share * fresh.loss)
            if before != 1.0:
                change = before * change
            if left != before:
                change = change + (left - before) * of_unit.times(fresh.point)
                self._left[unit], others_left = left, True
            of_unit.add_to(self._of_anchors, change)
        if others_left:
            self._take_total(self._heard)

    def put(self, mean: FloatArray, here: slice, out: FloatArray) -> None:
        """Put a chunk of the sum into `out`, of the chunk's length.

        `mean` is the mean anchor, shape (n_parameters,).
        """
        np.multiply(self._total[here], mean[here], out=out)
        out -= self._of_anchors[here]
        if self._scale != 1.0:
            out *= self._scale

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold besides which units are heard; own arrays."""
        return {"spread": self._of_anchors, "left": self._left}

    def load_state(self, state: Mapping[str, FloatArray], heard: Collection[int]) -> None:
        """Go on from what `state` returned, with the units that were heard."""
        self._left[:] = state["left"]
        self._take_total(heard)
        self._of_anchors[:] = state["spread"]

    def _left_at(self, unit: int, loss: float) -> float:
        """Return the share of C_u that counts at a loss."""
        share = min(max(self._curvatures[unit].left(loss), LEAST_LEFT), 1.0)
        return 2.0 ** math.ceil(math.log2(share))

    def _take_total(self, heard: Collection[int]) -> None:
        # In this order after a crash, too, to the last bit.
        self._heard = sorted(heard)
        self._scale = self._n_units / max(len(heard), 1)
        self._total[:] = 0.0
        for unit in self._heard:
            of_unit, left = self._curvatures[unit], self._left[unit]
            of_unit.add_to(self._total, of_unit.values if left == 1.0 else left * of_unit.values)
