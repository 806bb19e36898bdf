"""A guard against results that are far too large to be honest."""

from __future__ import annotations

from collections import deque
from statistics import median

FEWEST = 3
"""Norms to have seen before any is judged."""


class NormLimit:
    """Admits a result whose norm is at most a multiple of the median of recent ones.

    The median of admitted norms is what the majority says: it stays honest while fewer than half
    of the recent results are not. A result beyond the limit is refused, not scaled down: an
    erasure is something every decoder knows how to deal with, a shortened gradient is not.

    Parameters
    ----------
    multiple: of the median.
    window: how many admitted results count as recent.
    """

    def __init__(self, multiple: float, window: int) -> None:
        self.multiple = multiple
        self._recent: deque[float] = deque(maxlen=max(window, FEWEST))

    def admit(self, norm: float) -> bool:
        """Return whether a result of this Euclidean norm may be used, and remember it if so."""
        if len(self._recent) >= FEWEST and norm > self.multiple * median(self._recent) > 0:
            return False
        self._recent.append(norm)
        return True
