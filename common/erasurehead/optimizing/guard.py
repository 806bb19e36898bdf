"""Whether a model of the curvature is to be trusted, by what arrivals say of it."""

from __future__ import annotations

from enum import Enum, auto

import numpy as np

from erasurehead.arrays import FloatArray

REJECTED_ABOVE = 3.0
CLEARED_ABOVE = 10.0
MOST_REJECTIONS = 5
"""In a row. After so many, a round is taken as it is."""

LARGEST_DIVISOR = 100.0
"""That a round can bring about of which the model's curvature is no guess at all."""

DECAY = 0.92
"""What is left of a divisor's excess over 1 after each arrival."""


class Verdict(Enum):
    """What is to become of a round."""

    TRUSTED = auto()
    REJECTED = auto()
    BLAMED = auto()
    """Rejected, and the model of the curvature is no good either."""


class CurvatureGuard:
    """Divides steps by sigma, what the curvature met may be of the curvature expected.

    Attributes
    ----------
    kappa: what the last round met.
    sigma: at least 1.
    rejections: rounds that were rejected in a row.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Trust the model."""
        self.kappa = 0.0
        self.sigma = 1.0
        self.rejections = 0

    def judge(self, kappa: float, n_arrivals: int) -> Verdict:
        """Return what to make of a round whose arrivals met kappa times the expected curvature."""
        self.kappa = kappa
        if kappa > REJECTED_ABOVE * self.sigma and self.rejections < MOST_REJECTIONS:
            self.rejections += 1
            if kappa > CLEARED_ABOVE * self.sigma:
                self.sigma = max(self.sigma, min(kappa, LARGEST_DIVISOR))
                return Verdict.BLAMED
            self.sigma = kappa
            return Verdict.REJECTED
        self.rejections = 0
        decayed = 1.0 + (self.sigma - 1.0) * DECAY**n_arrivals
        self.sigma = kappa if kappa > self.sigma else max(1.0, decayed)
        return Verdict.TRUSTED

    def state(self) -> FloatArray:
        """Return kappa, sigma and the rejections, shape (3,)."""
        return np.array([self.kappa, self.sigma, self.rejections])

    def load_state(self, state: FloatArray) -> None:
        """Go on from what `state` returned."""
        self.kappa, self.sigma, self.rejections = float(state[0]), float(state[1]), int(state[2])
