"""How far a model is from the minimum, relative to where the run began."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

SMOOTHED = 5
"""Rounds of which the median is taken."""


class GapEstimate:
    """Estimates (f - f*) / (f(start) - f*) after each round.

    A method that has an image of the curvature says how far f is above its minimum by it
    (`Method.predicted_decrease`). That is f - f*; and f(start) - f* is what the loss has fallen,
    and this. Single rounds are off by a factor of ten now and then, and the median of five by a
    factor of three. docs/optimisers.md has the measurements.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=SMOOTHED)

    def observe(self, decrease: float | None, fallen: float, *, rejected: bool) -> float:
        """Take a round and return the gap after it; NaN: unknown.

        Parameters
        ----------
        decrease: as the method predicts it; None: it cannot, and what it said is out of date.
        fallen: by how much the loss has fallen since the start.
        rejected: the method did not trust the round, so what it says of it does not count.
        """
        if not rejected:
            if decrease is None or not math.isfinite(decrease):
                self._recent.clear()
            else:
                left = max(decrease, 0.0)
                self._recent.append(left / (left + max(fallen, 0.0)) if left else 0.0)
        return median(self._recent) if len(self._recent) == SMOOTHED else math.nan

    def state(self) -> npt.NDArray[Any]:
        """Return what a checkpoint must hold."""
        return np.array(self._recent)

    def load_state(self, state: npt.NDArray[Any]) -> None:
        """Go on from what `state` returned."""
        self._recent.extend(state.tolist())
