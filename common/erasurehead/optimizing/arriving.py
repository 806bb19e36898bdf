"""How far the arrivals of an open round move the anchors of their units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.finding import Renewal
from erasurehead.optimizing.unit_curvature import AnchorSpread
from erasurehead.parts import InParts, stretches


class Arriving:
    """Adds up the ways of anchors as results come, so that little is left when a round closes.

    Nothing of it counts before the round is absorbed. Memory: one vector of all parameters.

    Parameters
    ----------
    n_parameters: length of a vector.
    spread: is to follow the anchors; None: there is none.
    in_parts: how long vectors are worked on.

    Attributes
    ----------
    ways: the sum of the ways from anchors to where units were heard now, shape (n_parameters,);
        of `settle`'s renewals, if there are any.
    """

    def __init__(self, n_parameters: int, spread: AnchorSpread | None, in_parts: InParts) -> None:
        self._spread = spread
        self._in_parts = in_parts
        self._taken: list[Renewal] = []
        self.ways: FloatArray = np.empty(n_parameters)

    def forget(self) -> None:
        """Forget the round."""
        self._taken = []
        if self._spread is not None:
            self._spread.forget()

    def take(self, renewal: Renewal) -> None:
        """Take an arrival of a unit of which something is remembered."""
        assert renewal.known is not None
        point, anchor, first = renewal.fresh.point, renewal.known.point, not self._taken
        self._taken.append(renewal)

        def add(part: slice) -> None:
            for here in stretches(part):
                if first:
                    np.subtract(point[here], anchor[here], out=self.ways[here])
                else:
                    self.ways[here] += point[here] - anchor[here]

        self._in_parts(len(self.ways), add)
        if self._spread is not None:
            self._spread.move(renewal.unit, point, anchor)

    def settle(self, renewals: Sequence[Renewal]) -> None:
        """Let the round have these arrivals, in this order, and no others."""
        begun = len(self._taken)
        if any(one is not other for one, other in zip(self._taken, renewals, strict=False)):
            begun = 0  # a round that was given up had others
            self.forget()
        for renewal in renewals[begun:]:
            self.take(renewal)
        if self._spread is not None:
            self._spread.absorb()
