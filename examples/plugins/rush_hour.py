"""A delay model: every fifth round delays all workers, each by a time of its own."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.straggling import DELAYS
from erasurehead.straggling.base import DelayModel


class RushHour(DelayModel):
    """Exponential delays in every `every`-th round, none in the others."""

    def __init__(self, n_workers: int, seed: int, *, mean_s: float, every: int = 5) -> None:
        super().__init__(n_workers, seed)
        self._mean_s, self._every = mean_s, every

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return the delay of every slot in a round, shape (k,), in seconds."""
        if round_ % self._every:
            return np.zeros(self.n_workers)
        return self._mean_s * self.exponentials(round_)


DELAYS.register("rush-hour", RushHour)
