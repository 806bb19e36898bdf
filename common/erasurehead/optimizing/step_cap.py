"""A cap on steps by the length of those before."""

from __future__ import annotations

from collections import deque

import numpy as np

from erasurehead.arrays import FloatArray

GROWTH = 4.0
"""A step may be so many times as long as the longest of the last."""

REMEMBERED = 10


class StepCap:
    """Lets steps grow, but not leap.

    One pair of hardly any curvature can make a step a thousand times as long as those before, to
    where no unit has been heard, so that nothing warns of it.
    """

    def __init__(self) -> None:
        self._lengths: deque[float] = deque(maxlen=REMEMBERED)

    def share(self, length: float) -> float:
        """Return what share of a step of this length to go, and take note that it is gone."""
        longest = max(self._lengths, default=0.0)
        share = GROWTH * longest / length if 0.0 < GROWTH * longest < length else 1.0
        self._lengths.append(share * length)
        return share

    def state(self) -> FloatArray:
        """Return the lengths of the last steps."""
        return np.array(self._lengths)

    def load_state(self, lengths: FloatArray) -> None:
        """Go on from what `state` returned."""
        self._lengths = deque((float(length) for length in lengths), maxlen=REMEMBERED)
