"""The parameters that each slot's models and gradients hold."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Support = npt.NDArray[Any] | None
"""Parameters needed, ascending; None: all of them."""

V = TypeVar("V")


class Supports(dict[int, Support]):
    """What READY said of each slot; equal supports are one array."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[int, int] = {}

    def remember(self, slot: int, support: Support) -> None:
        """Take note of a slot's support, sorted and without repetitions."""
        key = 0 if support is None else hash(support.tobytes()) or 1
        twin = next((s for s, k in self._keys.items() if k == key), None)
        shared = None if twin is None else self[twin]
        if support is None:
            self[slot] = None
        elif shared is not None and np.array_equal(shared, support):
            self[slot] = shared
        else:
            # Fancy indexing converts anything narrower on every use.
            self[slot] = support.astype(np.intp)
        self._keys[slot] = key

    def clear(self) -> None:
        """Forget all slots: their tasks have changed."""
        super().clear()
        self._keys.clear()


class BySupport(Generic[V]):
    """Values for supports, each known by being the same object.

    The support is kept with its value, or another one could be given its place in memory.
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[V, Support]] = {}

    def get(self, support: Support) -> V | None:
        """Return the value for this very support, None if there is none."""
        found = self._values.get(id(support))
        return None if found is None else found[0]

    def put(self, support: Support, value: V) -> V:
        """Remember and return the value for a support."""
        self._values[id(support)] = value, support
        return value

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()
