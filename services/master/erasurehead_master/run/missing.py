"""Which parts of the rows nothing is known of, because no worker sends their gradients."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import IntArray

GONE_AFTER = 30
"""Steps in a row that waited for a unit in vain, after which it is taken to be gone for good. A
worker that is started again is there sooner, and until then nobody can say how far the minimum of
all is."""


class Missing:
    """Counts how many steps in a row have waited for a unit of which nothing is remembered.

    Parameters
    ----------
    held: the units that some slot sends.
    """

    def __init__(self, held: Collection[int]) -> None:
        self._steps: IntArray = np.zeros(max(held, default=-1) + 1, dtype=np.int64)
        self._held = held

    def step(self, heard: Collection[int], due: Collection[int]) -> None:
        """Take note of the units of which something is remembered after a step, and of those that
        it waited for. One that no step has waited for yet is missing, and not gone."""
        for unit in self._held:
            missed = max(int(self._steps[unit]) + (unit in due), 1)
            self._steps[unit] = 0 if unit in heard else missed

    @property
    def n_missing(self) -> int:
        """Units of which nothing is remembered."""
        return int(np.count_nonzero(self._steps))

    @property
    def is_settled(self) -> bool:
        """Whether each unit is known, or gone for good."""
        return bool(np.all((self._steps == 0) | (self._steps >= GONE_AFTER)))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold."""
        return {"steps": self._steps}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        self._steps[:] = state["steps"]
