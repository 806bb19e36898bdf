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
    """

    def __init__(self, n_parameters: int, spread: AnchorSpread | None, in_parts: InParts) -> None:
        self._spread = spread
        self._in_parts = in_parts
        self._taken: list[Renewal] = []
        self._ways: FloatArray = np.empty(n_parameters)
        """The sum of the ways of what was taken."""
        self._left: Sequence[Renewal] = ()
        """What the round has besides."""

    def forget(self) -> None:
        """Forget the round."""
        self._taken, self._left = [], ()
        if self._spread is not None:
            self._spread.forget()

    def take(self, renewal: Renewal) -> None:
        """Take an arrival of a unit of which something is remembered."""
        begun = bool(self._taken)
        self._taken.append(renewal)

        def add(part: slice) -> None:
            for here in stretches(part):
                if begun:
                    self._ways[here] += _way(renewal, here)
                else:
                    _way(renewal, here, self._ways[here])

        self._in_parts(len(self._ways), add)
        self._move(renewal)

    def settle(self, renewals: Sequence[Renewal]) -> None:
        """Let the round have these arrivals, in this order, and no others; it is absorbed."""
        begun = len(self._taken)
        if any(one is not other for one, other in zip(self._taken, renewals, strict=False)):
            begun = 0  # a round that was given up had others
            self.forget()
        self._left = renewals[begun:]
        for renewal in self._left:
            self._move(renewal)
        if self._spread is not None:
            self._spread.absorb()

    def put(self, here: slice, out: FloatArray) -> None:
        """Put a stretch of the sum of all ways into `out`, once they are settled.

        What came last need not be added up before.
        """
        if not self._left:
            out[:] = self._ways[here]
            return
        _way(self._left[0], here, out)
        if self._taken:
            out += self._ways[here]
        for renewal in self._left[1:]:
            out += _way(renewal, here)

    def _move(self, renewal: Renewal) -> None:
        if self._spread is not None:
            assert renewal.known is not None
            self._spread.move(renewal.unit, renewal.fresh.point, renewal.known.point)


def _way(renewal: Renewal, here: slice, out: FloatArray | None = None) -> FloatArray:
    """Return a stretch of a unit's way, in `out` if there is one."""
    assert renewal.known is not None
    return np.subtract(renewal.fresh.point[here], renewal.known.point[here], out=out)
