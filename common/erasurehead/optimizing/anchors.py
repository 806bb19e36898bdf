"""The points at which remembered gradients were taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError


class Anchors:
    """What was broadcast in the rounds from which something is remembered.

    All units that arrived in one round share one point, so there are at most as many points as
    units, and one for the round that is open.
    """

    def __init__(self) -> None:
        self._points: dict[int, FloatArray] = {}

    def keep(self, round_: int, point: FloatArray) -> None:
        """Keep what is broadcast in a round, shape (n_parameters,); it must not change then."""
        self._points[round_] = point

    def of(self, round_: int) -> FloatArray:
        """Return what was broadcast in a round that is kept."""
        return self._points[round_]

    def forget_others(self, rounds: Collection[int]) -> None:
        """Keep these rounds alone."""
        self._points = {r: point for r, point in self._points.items() if r in rounds}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; the points themselves."""
        if not self._points:
            return {}
        rounds = sorted(self._points)
        points = {f"point_{n}": self._points[round_] for n, round_ in enumerate(rounds)}
        return {"rounds": np.array(rounds, dtype=np.int64), **points}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]], rounds: Collection[int]) -> None:
        """Go on from what `state` returned, with the points of these rounds.

        Raises
        ------
        DataError: one of them is missing.
        """
        places = {int(round_): n for n, round_ in enumerate(state.get("rounds", ()))}
        missing = sorted(set(rounds) - set(places))
        if missing:
            raise DataError(
                "the checkpoint does not hold the models that were broadcast in rounds"
                f" {', '.join(map(str, missing))}, whose gradients it remembers; take an older one"
                " or resume with the optimizer it was written by"
            )
        self._points = {round_: state[f"point_{places[round_]}"].copy() for round_ in rounds}
