"""What a delay model is: how many seconds each slot is held up in each round.

Delays are a function of (seed, round, slot) alone, so any scheme meets the same ones, and a
worker can compute its own without being told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from erasurehead.arrays import FloatArray

BLOCK_DRAWS = 1 << 12
"""Draws made at once. To seed a generator takes longer than to draw for a few dozen slots, and a
worker does it in every round, with the master waiting."""


class DelayModel(ABC):
    """Delays of k slots from one seed.

    Parameters
    ----------
    n_workers: k.
    seed: non-negative; the same seed gives the same delays, whatever the scheme.

    All delays are in seconds. Models raise UsageError for options out of range.
    """

    delays_no_one = False
    """True when no delay is ever above zero."""

    slots_are_alike = True
    """True when no slot of equal load is late more often than another in the long run."""

    def __init__(self, n_workers: int, seed: int) -> None:
        self.n_workers = n_workers
        self.seed = seed
        self._block_rounds = max(1, BLOCK_DRAWS // n_workers)
        self._asked: tuple[int, int, float] | None = None
        self._ahead_s: list[float] = []
        self._drawn = -1
        self._draws: FloatArray = np.empty((0, n_workers))

    @abstractmethod
    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return the delay of every slot in `round_` (from 1), shape (k,), in seconds.

        `load_share` is the share c/n of all tasks that a slot computes, one number or shape (k,);
        models of a compute time scale with it, models of an outage do not.
        """

    def late_probabilities(
        self, deadline_s: float | FloatArray, load_share: float | FloatArray
    ) -> FloatArray | None:
        """Return each slot's probability of a delay above its deadline, shape (k,).

        `deadline_s` and `load_share` are one number or shape (k,), as are those of `delays_s`.

        None where there is no closed form, or successive rounds depend on each other.
        """
        return None

    def delay_s(self, round_: int, slot: int, load_share: float) -> float:
        """Return the delay of one slot in one round, in seconds."""
        rounds = self._block_rounds
        block, row = divmod(round_ - 1, rounds)
        if (block, slot, load_share) != self._asked:
            first = 1 + block * rounds
            ahead = range(first, first + rounds)
            self._ahead_s = [float(self.delays_s(r, load_share)[slot]) for r in ahead]
            self._asked = (block, slot, load_share)
        return self._ahead_s[row]

    def exponentials(self, round_: int) -> FloatArray:
        """Return fresh Exp(1) draws of every slot for `round_`, shape (k,)."""
        rounds = self._block_rounds
        block, row = divmod(round_ - 1, rounds)
        if block != self._drawn:
            shape = (rounds, self.n_workers)
            self._draws = self.generator(_BLOCK, block).standard_exponential(shape)
            self._drawn = block
        draws: FloatArray = self._draws[row].copy()
        return draws

    def generator(self, *key: int) -> np.random.Generator:
        """Return a generator that depends on the seed and `key` only."""
        return np.random.default_rng((0xDE1A, self.seed, *key))


_BLOCK = 1
"""Sets the draws of rounds apart from choices that a model makes once."""
