"""Weighed changes of remembered vectors, reading as few old vectors as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.memory import Remembered
from erasurehead.estimating.sums import Accumulator


class WeighedMemory:
    """sum_u w_u (y_u - h_u) over the units u that arrived, for weights that differ.

    The old vectors' part is mostly known: the last round's sum_u w_u y_u is this round's
    sum_u w_u h_u, if the same units arrive with the same weights. Only units that are missing now,
    or were, or whose weight has changed are read again, or all that arrived if they are fewer.

    Parameters
    ----------
    n_parameters: length of the sums.
    n_units: remembered vectors.
    """

    def __init__(self, n_parameters: int, n_units: int) -> None:
        self._old = Accumulator(n_parameters)
        self._old_weights = np.zeros(n_units)
        self._new = Accumulator(n_parameters)
        self._new_weights = np.zeros(n_units)

    def begin(self) -> None:
        """Start a round in which nothing has arrived."""
        self._new.clear()
        self._new_weights[:] = 0.0

    def share(self, unit: int, weight: float) -> tuple[Accumulator, float]:
        """Take note of a unit's new weight, once a round; return where to add its new vector."""
        self._new_weights[unit] = weight
        return self._new, weight

    def changes(self, known: Sequence[Remembered]) -> FloatArray:
        """Return the sum of the weighed changes, valid until `absorb` or `reject`; once a round."""
        differing = np.flatnonzero(self._new_weights != self._old_weights)
        arrived = np.flatnonzero(self._new_weights)
        if len(differing) <= len(arrived):
            self._move(known, differing, self._new_weights - self._old_weights)
        else:
            self._old.clear()
            self._move(known, arrived, self._new_weights)
        self._old_weights[:] = self._new_weights
        changes = self._old.sum
        np.subtract(self._new.sum, changes, out=changes)
        return changes

    def absorb(self) -> None:
        """Go on from the new vectors, after `changes`."""
        self._old, self._new = self._new, self._old

    def reject(self) -> None:
        """Go on from the old vectors, which are still what is remembered, after `changes`."""
        changes = self._old.sum
        np.subtract(self._new.sum, changes, out=changes)

    def replace(self, unit: int, old: Remembered, vector: CodedVector) -> None:
        """Take note that a unit's remembered vector was replaced between two rounds' ends."""
        weight = float(self._old_weights[unit])
        if weight:
            self._old.add(vector.support, vector.values, weight)
            self._old.add(old.support, old.values, -weight)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold between two rounds; partly the memory's own arrays."""
        return {"weighed": self._old.sum, "weights": self._old_weights.copy()}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        self._old.sum[:] = state["weighed"]
        self._old_weights[:] = state["weights"]

    def _move(self, known: Sequence[Remembered], units: IntArray, weights: FloatArray) -> None:
        for unit in units.tolist():
            if len(known[unit].values):
                self._old.add(known[unit].support, known[unit].values, float(weights[unit]))
