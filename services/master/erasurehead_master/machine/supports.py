"""The columns that each slot's models and gradients are on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Support = npt.NDArray[Any] | None
"""Columns touched, ascending; None: all of them."""


class Supports:
    """What READY said of each slot; slots with the same tasks share one array.

    `keys` has a number for each slot: equal numbers, equal supports, so one encoded model serves
    them all.
    """

    def __init__(self) -> None:
        self.keys: dict[int, int] = {}
        self._of: dict[int, Support] = {}

    def __getitem__(self, slot: int) -> Support:
        return self._of[slot]

    def __contains__(self, slot: int) -> bool:
        return slot in self._of

    def remember(self, slot: int, support: Support) -> None:
        """Take note of a slot's support, sorted and without repetitions."""
        key = 0 if support is None else hash(support.tobytes()) or 1
        twin = next((s for s, k in self.keys.items() if k == key and s != slot), None)
        shared = None if twin is None else self._of[twin]
        if support is None:
            self._of[slot] = None
        elif shared is not None and np.array_equal(shared, support):
            self._of[slot] = shared
        else:
            # Fancy indexing converts anything narrower on every use.
            self._of[slot] = support.astype(np.intp)
        self.keys[slot] = key

    def clear(self) -> None:
        """Forget all slots: their tasks have changed."""
        self.keys.clear()
        self._of.clear()
