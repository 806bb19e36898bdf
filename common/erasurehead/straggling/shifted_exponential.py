"""Compute times with a fixed part and an exponential one."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import not_negative, positive


class ShiftedExponentialDelay(DelayModel):
    """(c/n) (shift + Exp(mean)): the model of ErasureHead's runtime analysis.

    arXiv 1901.09671, section 4: a worker that did all n tasks would take shift + Exp(mean).

    Parameters
    ----------
    shift_s, mean_s: seconds for the work of all tasks.
    """

    def __init__(self, n_workers: int, seed: int, *, shift_s: float, mean_s: float) -> None:
        super().__init__(n_workers, seed)
        self.shift_s = not_negative("shifted-exponential", "shift_s", shift_s)
        self.mean_s = positive("shifted-exponential", "mean_s", mean_s)

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return load_share * (shift_s + mean_s * Exp(1)) of every slot."""
        delays = self.mean_s * self.exponentials(round_)
        delays += self.shift_s
        delays *= load_share
        return delays

    def late_probabilities(
        self, deadline_s: float | FloatArray, load_share: float | FloatArray
    ) -> FloatArray:
        """Return exp(-(deadline / load_share - shift) / mean) for every slot."""
        over_s = np.maximum(0.0, deadline_s / np.asarray(load_share) - self.shift_s)
        return np.broadcast_to(np.exp(-over_s / self.mean_s), (self.n_workers,))
