"""The points at which gradients were taken: those of the last rounds, and those remembered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.errors import DataError

RECENT_ROUNDS = 3
"""Rounds of which results may still join, the open one among them. A worker gives a round up when
it is sent the next one, so what comes late was on its way then."""

Support = npt.NDArray[Any] | None


class Anchors:
    """For each unit the point at which its remembered gradient was taken.

    Units whose workers received the same point have the same array, so there are at most as many
    arrays as units.
    """

    def __init__(self) -> None:
        self._points: dict[int, FloatArray] = {}

    def of(self, unit: int) -> FloatArray:
        """Return the anchor, shape (n_parameters,), of a unit of which something is remembered."""
        return self._points[unit]

    def get(self, unit: int) -> FloatArray | None:
        """Return the anchor of a unit, shape (n_parameters,); None: nothing is remembered of it."""
        return self._points.get(unit)

    def move(self, unit: int, point: FloatArray) -> None:
        """Keep a point, shape (n_parameters,), as a unit's anchor; it must not change then."""
        self._points[unit] = point

    def forget(self, units: Collection[int]) -> None:
        """Nothing is remembered of these units any more."""
        for unit in units:
            self._points.pop(unit, None)

    def clear(self) -> None:
        """Nothing is remembered of any unit."""
        self._points.clear()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; the points themselves, each once."""
        if not self._points:
            return {}
        units = sorted(self._points)
        once = {id(self._points[unit]): self._points[unit] for unit in units}
        places = {key: place for place, key in enumerate(once)}
        return {
            "units": np.array(units, dtype=np.int64),
            "places": np.array([places[id(self._points[unit])] for unit in units]),
            **{f"point_{place}": point for place, point in enumerate(once.values())},
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]], units: Collection[int]) -> None:
        """Go on from what `state` returned, with the anchors of these units.

        Raises
        ------
        DataError: one of them is missing.
        """
        none: IntArray = np.empty(0, dtype=np.int64)
        places = zip(state.get("units", none), state.get("places", none), strict=True)
        held = {int(unit): f"point_{place}" for unit, place in places}
        missing = sorted(unit for unit in units if held.get(unit) not in state)
        if missing:
            raise DataError(
                "the checkpoint does not hold the models at which the gradients of units"
                f" {', '.join(map(str, missing))} were taken, which it remembers; take an older one"
                " or resume with the optimizer it was written by"
            )
        points = {held[unit]: state[held[unit]].copy() for unit in units}
        self._points = {unit: points[held[unit]] for unit in units}


class Broadcasts:
    """What workers received in the last rounds, by the parameters that they were sent.

    Most formats round each value by itself, so that all workers received parts of one point. Where
    a format does not, those with another support received another point: the one that was
    broadcast, but for what they were sent.
    """

    def __init__(self) -> None:
        self._rounds: dict[int, tuple[FloatArray, dict[int, tuple[FloatArray, Support]]]] = {}

    def open(self, round_: int, point: FloatArray) -> None:
        """A round opens with a point, shape (n_parameters,), which must not change then."""
        self._rounds[round_] = point, {}
        for old in [r for r in self._rounds if r <= round_ - RECENT_ROUNDS]:
            del self._rounds[old]

    def received(self, round_: int, support: Support, values: FloatArray) -> None:
        """Take note of what workers with this very support receive in a round.

        `values` are those on the support, in its order. The support is kept with the point, or
        another one could be given its place in memory.
        """
        sent, by_support = self._rounds[round_]
        point = sent.copy()
        point[slice(None) if support is None else support] = values
        by_support[id(support)] = point, support

    def of(self, round_: int, support: Support) -> FloatArray | None:
        """Return the point, shape (n_parameters,), that workers with this very support received.

        None: the round is not kept.
        """
        if round_ not in self._rounds:
            return None
        sent, by_support = self._rounds[round_]
        return by_support[id(support)][0] if id(support) in by_support else sent

    def clear(self) -> None:
        """Forget all rounds."""
        self._rounds.clear()
