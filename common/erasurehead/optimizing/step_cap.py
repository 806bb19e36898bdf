"""A cap on steps by the length of those before."""

from __future__ import annotations

from collections import deque

import numpy as np

from erasurehead.arrays import FloatArray

REMEMBERED = 10


class StepCap:
    """Lets steps grow, but not leap.

    One pair of hardly any curvature can make a step a thousand times as long as those before, to
    where no unit has been heard, so that nothing warns of it. A step that met more curvature than
    it was made for counts as so much shorter.

    Parameters
    ----------
    growth: a step may be so many times as long as the longest of the last.
    """

    def __init__(self, growth: float) -> None:
        self._growth = growth
        self._lengths: deque[float] = deque(maxlen=REMEMBERED)

    def share(self, length: float) -> float:
        """Return what share of a step of this length to go, and take note that it is gone."""
        longest = max(self._lengths, default=0.0)
        most = self._growth * longest
        share = most / length if 0.0 < most < length else 1.0
        self._lengths.append(share * length)
        return share

    def amend(self, ratio: float) -> None:
        """Take note that the last step met so many times the curvature that was expected of it."""
        if self._lengths and ratio > 1.0:
            self._lengths[-1] /= ratio

    def state(self) -> FloatArray:
        """Return the lengths of the last steps, shape (steps,)."""
        return np.array(self._lengths)

    def load_state(self, lengths: FloatArray) -> None:
        """Go on from what `state` returned."""
        self._lengths = deque((float(length) for length in lengths), maxlen=REMEMBERED)
