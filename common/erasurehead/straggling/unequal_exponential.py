"""Workers that are late more or less often, each at a rate of its own."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import not_negative, positive

_CHOICE = 0
"""Rounds count from 1, so this key of the generator is free."""


class UnequalExponentialDelay(DelayModel):
    """shift + Exp(rate_i), whatever a slot's load; rate_i ~ U(low, high) once from the seed.

    The heterogeneous workers of arXiv 2510.22539's experiments: shift 1 and rates from 0.1 to 2. At
    a deadline tau, slot i is late with probability exp(-rate_i (tau - shift)).

    Parameters
    ----------
    shift_s: seconds that every slot takes at least.
    low, high: range of the rates, per second.

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
        shift_s: float = 1.0,
        low: float = 0.1,
        high: float = 2.0,
    ) -> None:
        super().__init__(n_workers, seed)
        self.shift_s = not_negative("unequal-exponential", "shift_s", shift_s)
        positive("unequal-exponential", "low", low)
        if positive("unequal-exponential", "high", high) < low:
            raise UsageError(
                f"low={low:g} and high={high:g} of delay model 'unequal-exponential' are no range"
                " of rates; high must be at least low"
            )
        self.rates: FloatArray = self.generator(_CHOICE).uniform(low, high, n_workers)

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return shift_s + Exp(1) / rate of every slot."""
        delays = self.exponentials(round_)
        delays /= self.rates
        delays += self.shift_s
        return delays

    def late_probabilities(
        self, deadline_s: float | FloatArray, load_share: float | FloatArray = 1.0
    ) -> FloatArray:
        """Return exp(-rate_i (deadline - shift)); 1 before the shift."""
        return np.asarray(np.exp(-self.rates * np.maximum(0.0, deadline_s - self.shift_s)))
