"""The same few workers are slow in every round."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import not_negative, positive, probability

_CHOICE = 0
"""Rounds count from 1, so this key of the generator is free."""


class PersistentDelay(DelayModel):
    """Slow slots, chosen once from the seed, are held up by `slow_s` in every round.

    Exactly one of `fraction` and `count` is given.

    Parameters
    ----------
    fraction: share of slow slots; their number is rounded to the nearest.
    count: number of slow slots.
    slow_s: their delay in seconds.
    jitter_s: mean of an exponential delay added to every slot, in seconds.

    Raises
    ------
    UsageError: neither `fraction` nor `count` is given, or both, or an option is out of range.
    """

    slots_are_alike = False

    def __init__(
        self,
        n_workers: int,
        seed: int,
        *,
        fraction: float | None = None,
        count: int | None = None,
        slow_s: float,
        jitter_s: float = 0.0,
    ) -> None:
        super().__init__(n_workers, seed)
        if (fraction is None) == (count is None):
            given = "neither was" if count is None else "both were"
            raise UsageError(
                f"delay model 'persistent' needs one of fraction and count, but {given} given;"
                " write for example persistent:count=1,slow_s=2"
            )
        if fraction is not None:
            count = round(probability("persistent", "fraction", fraction) * n_workers)
        assert count is not None
        if not 0 <= count <= n_workers:
            raise UsageError(
                f"count={count} of delay model 'persistent' must be from 0 to {n_workers},"
                " the number of workers"
            )
        self.jitter_s = not_negative("persistent", "jitter_s", jitter_s)
        self.slow_slots = np.sort(self.generator(_CHOICE).permutation(n_workers)[:count])
        self._fixed = np.zeros(n_workers)
        self._fixed[self.slow_slots] = positive("persistent", "slow_s", slow_s)

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return slow_s of the slow slots and 0 of the others, plus the jitter."""
        if not self.jitter_s:
            return self._fixed.copy()
        delays = self.jitter_s * self.exponentials(round_)
        delays += self._fixed
        return delays
