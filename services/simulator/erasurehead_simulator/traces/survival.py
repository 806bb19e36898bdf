"""Times that are only known to be later than something: estimates from what was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Survival:
    """The Kaplan-Meier estimate of P(T > t) from right-censored times.

    Attributes
    ----------
    times_s: at which something was seen, ascending, shape (m,).
    survival: P(T > t) just after each, shape (m,).
    latest_s: the latest time known of, seen or not.
    """

    times_s: FloatArray
    survival: FloatArray
    latest_s: float

    @classmethod
    def estimate(cls, times_s: FloatArray, seen: BoolArray) -> Survival:
        """Estimate from times that were `seen`, or were only later than what is given."""
        order = np.argsort(times_s, kind="stable")
        ordered, events = times_s[order], seen[order]
        distinct, first = np.unique(ordered, return_index=True)
        died = np.add.reduceat(events.astype(np.float64), first) if len(ordered) else np.zeros(0)
        at_risk = len(ordered) - first
        happened = died > 0
        survival = np.cumprod(1.0 - died[happened] / at_risk[happened], dtype=np.float64)
        return cls(distinct[happened], survival, float(ordered[-1]) if len(ordered) else 0.0)

    def n_beyond(self, time_s: float) -> int:
        """Return how many times were seen after `time_s`."""
        return len(self.times_s) - int(np.searchsorted(self.times_s, time_s, side="right"))

    def draw_beyond(self, time_s: float, uniform: float) -> tuple[float, bool]:
        """Return a time later than `time_s`, and whether it is more than a lower bound.

        Parameters
        ----------
        uniform: a number drawn from [0, 1).
        """
        first = int(np.searchsorted(self.times_s, time_s, side="right"))
        before = float(self.survival[first - 1]) if first else 1.0
        # P(T > t | T > time_s) falls below the drawn number at the drawn time.
        wanted = uniform * before
        later = self.survival[first:]
        index = int(np.searchsorted(-later, -wanted, side="left"))
        if index < len(later):
            return float(self.times_s[first + index]), True
        return max(time_s, self.latest_s), False
