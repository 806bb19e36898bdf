"""Compute times of machines of which a few are lastingly slower."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import not_negative, positive, probability

_CHOICE = 0
"""Rounds count from 1, so this key of the generator is free."""


class BimodalDelay(DelayModel):
    """(c/n) base (factor if slow else 1) (1 + jitter Exp(1)), slow for good with probability eps.

    Logs of small cloud machines look like this: most within some percent of each other, and one
    in ten or fifteen about ten times slower throughout.

    Parameters
    ----------
    eps: probability that a slot is slow, drawn once from the seed.
    factor: how many times slower, at least 1.
    base_s: seconds that a healthy worker takes for the work of all tasks.
    jitter: mean of the exponential part, relative to the fixed one.

    Raises
    ------
    UsageError: an option is out of range.
    """

    slots_are_alike = False

    def __init__(
        self,
        n_workers: int,
        seed: int,
        *,
        eps: float = 0.1,
        factor: float = 10.0,
        base_s: float,
        jitter: float = 0.05,
    ) -> None:
        super().__init__(n_workers, seed)
        probability("bimodal", "eps", eps)
        if positive("bimodal", "factor", factor) < 1:
            raise UsageError(f"factor={factor:g} of delay model 'bimodal' must be at least 1")
        self.jitter = not_negative("bimodal", "jitter", jitter)
        self.slow = self.generator(_CHOICE).random(n_workers) < eps
        self._base_s = positive("bimodal", "base_s", base_s) * np.where(self.slow, factor, 1.0)

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return load_share * base_s * slowness * (1 + jitter * Exp(1)) of every slot."""
        delays = self.exponentials(round_)
        delays *= self.jitter
        delays += 1.0
        delays *= self._base_s
        delays *= load_share
        return delays
