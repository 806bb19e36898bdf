"""What the arrivals of an open round change, in the metric's coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Vector
from erasurehead.optimizing.finding import Renewal
from erasurehead.optimizing.unit_curvature import AnchorSpread
from erasurehead.parts import InParts, stretches

ScaledWay = Callable[[Renewal], Vector]
"""Returns D^1/2 (point - anchor) of a unit's way for the metric D, shape (n_parameters,)."""


class Arriving:
    """Adds up the ways of anchors as results come, so that little is left when a round closes.

    Nothing of it counts before the round is absorbed. It need not be more precise than pairs are,
    as it is a change by itself, no difference of sums. Memory: two vectors of all parameters, in
    the precision of pairs.

    Parameters
    ----------
    n_parameters: length of a vector.
    spread: falls as anchors move; None: there is none.
    dtype: of pairs.
    in_parts: how long vectors are worked on.
    scaled: finds a way.
    """

    def __init__(
        self,
        n_parameters: int,
        spread: AnchorSpread | None,
        dtype: npt.DTypeLike,
        in_parts: InParts,
        scaled: ScaledWay,
    ) -> None:
        self._spread = spread
        self._in_parts = in_parts
        self._scaled = scaled
        self._sum: Vector = np.empty(n_parameters, dtype)
        self._falls: Vector = np.empty(n_parameters if spread is not None else 0, dtype)
        self.forget()

    def forget(self) -> None:
        """Forget the round."""
        self._taken: list[Renewal] = []
        self._ways: list[Vector] = []
        """Of which the sum is that of all that was taken."""

    def take(self, renewal: Renewal) -> None:
        """Take an arrival of a unit of which something is remembered."""
        self._take(renewal)
        if len(self._ways) == 1:
            return
        one, other = self._ways

        def add(part: slice) -> None:
            for here in stretches(part):
                np.add(one[here], other[here], out=self._sum[here])

        self._in_parts(len(self._sum), add)
        self._ways = [self._sum]

    def settle(self, renewals: Sequence[Renewal]) -> None:
        """Let the round have these arrivals, in this order, and no others; it is absorbed.

        What came last need not be added up before.
        """
        if any(one is not other for one, other in zip(self._taken, renewals, strict=False)):
            self.forget()  # a round that was given up had others
        for renewal in renewals[len(self._taken) :]:
            self._take(renewal)

    def put(self, here: slice, out: Vector) -> None:
        """Put a stretch of the sum of all ways into `out`, once they are settled."""
        first, *others = self._ways
        out[:] = first[here]
        for way in others:
            out += way[here]

    def let_fall(self, here: slice, change: Vector) -> None:
        """Let a stretch of a gradient in the metric fall as the spread does by all ways."""
        if self._spread is not None:
            change -= self._falls[here]

    def _take(self, renewal: Renewal) -> None:
        way = self._scaled(renewal)
        if self._spread is not None:
            if not self._taken:
                self._falls[:] = 0.0
            self._spread.add_fall(renewal.unit, way, self._falls)
        self._taken.append(renewal)
        self._ways.append(way)
