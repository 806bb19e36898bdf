"""How often each group of slots is erased as a whole, learnt from the arrivals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.errors import DataError
from erasurehead.straggling.inverse_share import inverse_share

GUESS_ROUNDS = 2.0
"""Rounds that the first guess counts for."""

FORGETTING = 0.98


class GroupErasures:
    """The weights 1/(1-q_b), with q_b the share of rounds in which nothing of group b was in time.

    Whole groups are counted, not slots: where a round closes as soon as enough groups are covered,
    or at the r-th arrival, slots do not straggle independently, and the product of their
    probabilities is not q_b.

    Each round multiplies the counts N (rounds) and X_b (rounds with an arrival) by `FORGETTING`
    before it adds its own.

    Parameters
    ----------
    group_of_arrival: of each slot, or of each part where parts count, from 0 to B - 1.
    guess: q_b before any round, shape (B,), in [0, 1]; it is forgotten like a round.
    """

    def __init__(self, group_of_arrival: IntArray, guess: FloatArray) -> None:
        self._group_of_arrival = group_of_arrival
        self._rounds = np.full(1, GUESS_ROUNDS)
        self._covered = GUESS_ROUNDS * (1.0 - guess)
        self._squares = np.zeros(1)

    def observe(self, arrived: npt.NDArray[np.bool_]) -> None:
        """Count one round; `arrived` is as long as `group_of_arrival`."""
        covered = np.zeros(len(self._covered), dtype=bool)
        covered[self._group_of_arrival[arrived]] = True
        self._rounds *= FORGETTING
        self._covered *= FORGETTING
        self._squares *= FORGETTING**2
        self._rounds += 1.0
        self._covered += covered
        self._squares += 1.0

    @property
    def weights(self) -> FloatArray:
        """1/(1-q_b), shape (B,), at least 1; infinite for a group that no slot is in."""
        return inverse_share(self._covered, self._rounds, self._squares)

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold, copies."""
        return {
            "rounds": self._rounds.copy(),
            "covered": self._covered.copy(),
            "squares": self._squares.copy(),
        }

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from `state`.

        Raises
        ------
        DataError: it is not the state of as many groups.
        """
        for key, own in (
            ("rounds", self._rounds),
            ("covered", self._covered),
            ("squares", self._squares),
        ):
            if key not in state or state[key].shape != own.shape:
                raise DataError(
                    f"the checkpoint's group erasures have no '{key}' of shape {own.shape}; resume"
                    " with the scheme it was written with"
                )
            own[:] = state[key]
