"""What metrics show, added up: Python floats only, without what is not finite.

One NaN or infinity would make a sum useless for ever, so sums leave it out; a gauge shows what
there is, since a loss of NaN is worth an alert. The client library of Prometheus is not needed here
and not imported, for it takes memory that only a run that is watched should pay for.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import SupportsFloat


def plain(number: SupportsFloat) -> float:
    """Return a number of any kind, or an array of one element, as a Python float.

    Raises
    ------
    ValueError: an array of more elements, or of none.
    """
    item = getattr(number, "item", None)
    return float(number if item is None else item())


class Total:
    """What a counter shows: a sum of amounts, which stays a finite Python float."""

    __slots__ = ("sum",)

    def __init__(self) -> None:
        self.sum = 0.0

    def add(self, amount: SupportsFloat) -> None:
        """Add an amount; one that is not finite is left out."""
        number = plain(amount)
        if math.isfinite(number):
            self.sum += number


class Histogram:
    """Counts of observations by bucket; an observation costs one bisection.

    Parameters
    ----------
    bounds: finite upper bounds, ascending; a value equal to a bound belongs to its bucket.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = Total()

    def observe(self, value: SupportsFloat) -> None:
        """Count one observation; one that is not a number counts as beyond every bound."""
        number = plain(value)
        beyond = math.isnan(number)
        self._counts[-1 if beyond else bisect_left(self._bounds, number)] += 1
        self._total.add(number)

    @property
    def sum(self) -> float:
        """The sum of all finite observations."""
        return self._total.sum

    @property
    def count(self) -> int:
        """Observations so far."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, observations up to it), the last bound being +Inf."""
        total = 0
        found = []
        for bound, count in zip((*self._bounds, math.inf), list(self._counts), strict=True):
            total += count
            found.append(("+Inf" if bound == math.inf else repr(float(bound)), float(total)))
        return found
