"""Outages in bursts: a two-state Markov chain per worker."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import BoolArray, FloatArray
from erasurehead.errors import UsageError
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import not_negative, positive, probability

SNAPSHOT_ROUNDS = 256
"""The chain is kept at every so many rounds, so that an earlier round can be asked for again."""


class GilbertElliottDelay(DelayModel):
    """A good slot turns bad with probability p_gb a round, a bad one good with p_bg.

    A slot is bad with stationary probability p_gb / (p_gb + p_bg), from round 1 on; bursts last
    1 / p_bg rounds in the mean; states of successive rounds correlate by 1 - p_gb - p_bg.

    Parameters
    ----------
    p_gb, p_bg: transition probabilities, not both 0.
    slow_s, fast_s: delay in the bad and in the good state, in seconds.

    Raises
    ------
    UsageError: an option is out of range, or both probabilities are 0.
    """

    def __init__(
        self,
        n_workers: int,
        seed: int,
        *,
        p_gb: float,
        p_bg: float,
        slow_s: float,
        fast_s: float = 0.0,
    ) -> None:
        super().__init__(n_workers, seed)
        self.p_gb = probability("gilbert-elliott", "p_gb", p_gb)
        self.p_bg = probability("gilbert-elliott", "p_bg", p_bg)
        if p_gb + p_bg == 0:
            raise UsageError(
                "p_gb=0 and p_bg=0 of delay model 'gilbert-elliott' leave no way to choose the"
                " first state; use persistent:fraction=...,slow_s=... for slots that never change"
            )
        self.slow_s = positive("gilbert-elliott", "slow_s", slow_s)
        self.fast_s = not_negative("gilbert-elliott", "fast_s", fast_s)
        first: BoolArray = self.generator(0).random(n_workers) < self.slow_share
        self._snapshots = [first]
        self._round = 0
        self._bad = first

    @property
    def slow_share(self) -> float:
        """The stationary probability of the bad state."""
        return self.p_gb / (self.p_gb + self.p_bg)

    def bad(self, round_: int) -> BoolArray:
        """Return which slots are in the bad state in `round_`, shape (k,)."""
        if round_ < self._round:
            self._round = round_ - round_ % SNAPSHOT_ROUNDS
            self._bad = self._snapshots[self._round // SNAPSHOT_ROUNDS]
        while self._round < round_:
            self._round += 1
            draws = self.generator(self._round).random(self.n_workers)
            self._bad = np.where(self._bad, draws >= self.p_bg, draws < self.p_gb)
            if self._round == len(self._snapshots) * SNAPSHOT_ROUNDS:
                self._snapshots.append(self._bad)
        return self._bad

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return slow_s or fast_s of every slot."""
        return np.where(self.bad(round_), self.slow_s, self.fast_s)
