"""What a delay model is: how many seconds each slot is held up in each round.

Delays are a function of (seed, round, slot) alone, so any scheme meets the same ones, and a
worker can compute its own without being told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from erasurehead.coding.base import FloatArray


class DelayModel(ABC):
    """Delays of k slots from one seed.

    Parameters
    ----------
    n_workers: k.
    seed: non-negative; the same seed gives the same delays, whatever the scheme.
    """

    def __init__(self, n_workers: int, seed: int) -> None:
        self.n_workers = n_workers
        self.seed = seed

    @abstractmethod
    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return the delay of every slot in `round_` (from 1), shape (k,), in seconds.

        `load_share` is the share c/n of all tasks that a slot computes, one number or shape (k,);
        models of a compute time scale with it, models of an outage do not.
        """

    def delay_s(self, round_: int, slot: int, load_share: float) -> float:
        """Return the delay of one slot in one round, in seconds."""
        return float(self.delays_s(round_, load_share)[slot])

    def generator(self, *key: int) -> np.random.Generator:
        """Return a generator that depends on the seed and `key` only."""
        return np.random.default_rng((0xDE1A, self.seed, *key))
