"""In which order the ready slots are sent a round. No I/O."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import IntArray

DRAWN_AT_ONCE = 512
"""Places in orders that are drawn together, if one order has not more: to draw one alone takes
several times as long, since other work comes between two rounds."""


def sending_order(seed: int, round_: int, n_ready: int) -> IntArray:
    """Return the order in which the ready slots are sent the model, a permutation of 0..n-1.

    The slot that is sent the model first answers first when all are equal; a fresh order every
    round keeps the same few from being erased every time.
    """
    return np.random.default_rng((seed, round_)).permutation(n_ready)


class SendingOrders:
    """The orders of a run's rounds, drawn for some rounds at once.

    Parameters
    ----------
    seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._n_ready = 0
        self._drawn: dict[int, list[int]] = {}
        """By round, for as many ready slots."""

    def of(self, round_: int, n_ready: int) -> list[int]:
        """Return the order in which so many ready slots are sent a round."""
        if n_ready != self._n_ready or round_ not in self._drawn:
            last = round_ + max(1, DRAWN_AT_ONCE // max(1, n_ready))
            self._n_ready = n_ready
            self._drawn = {
                each: sending_order(self._seed, each, n_ready).tolist()
                for each in range(round_, last)
            }
        return self._drawn[round_]
