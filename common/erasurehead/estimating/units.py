"""What a cache remembers one vector for, and how these vectors add up to the full gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR
from erasurehead.errors import UsageError

ROUNDING = 1e-14
"""Relative differences of weights up to this are none."""

NEGLIGIBLE = 1e-6
"""Share of the largest c below which a decoder's weights are not compared with c."""


class Units:
    """The groups of a repetition code, or the symbols of another code, with weights c.

    Parameters
    ----------
    code: a repetition code, or one whose symbols add up to the full gradient with some weights.

    Attributes
    ----------
    of_symbol: for each symbol, the unit whose vector it is.
    weights: c_u for each unit u, such that sum_u c_u y_u is the full gradient.
    are_groups: several symbols may be the vector of one unit.
    n_held: units that some symbol renews; a group without a slot is none of them.

    Raises
    ------
    UsageError: there are no such weights.
    """

    def __init__(self, code: GradientCode) -> None:
        self.are_groups = code.groups is not None
        self.of_symbol: list[int] = code.unit_of_symbol.tolist()
        self.weights: list[float] = (
            full_weights(code).tolist() if code.groups is None else [1.0] * code.groups.count
        )
        self.n_held = len(set(self.of_symbol))
        self._largest = max(map(abs, self.weights))
        self._code = code
        self._among: tuple[frozenset[int], FloatArray] | None = None
        self._symbols_per_slot = code.symbols_per_slot
        self._arrival_of_symbol: list[int] = code.arrival_of_symbol.tolist()

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def slots(self) -> list[frozenset[int]]:
        """For each unit, the slots that send it."""
        n_symbols = len(self.of_symbol)
        return self._gathered([symbol // self._symbols_per_slot for symbol in range(n_symbols)])

    @cached_property
    def arrivals(self) -> list[frozenset[int]]:
        """For each unit, the arrivals of a round that renew it (`GradientCode.n_arrivals`)."""
        return self._gathered(self._arrival_of_symbol)

    def _gathered(self, of_symbol: Sequence[int]) -> list[frozenset[int]]:
        """Return for each unit what its symbols have."""
        found: list[set[int]] = [set() for _ in self.weights]
        for unit, number in zip(self.of_symbol, of_symbol, strict=True):
            found[unit].add(number)
        return [frozenset(numbers) for numbers in found]

    def weights_among(self, heard: frozenset[int]) -> FloatArray:
        """Return weights with which the heard units alone come nearest to the full gradient.

        Of a code without groups, where a unit is a symbol: w of least norm for which
        ||sum_u w_u A[u] - 1|| is least, 0 for other units, shape (units,). So a code that tolerates
        the others' silence has the full gradient without them.
        """
        if self._among is None or self._among[0] != heard:
            rows = sorted(heard)
            weights = np.zeros(len(self))
            wanted = np.ones(self._code.n_tasks)
            dense = self._code.matrix[rows].toarray()
            weights[rows] = np.linalg.lstsq(dense.T, wanted, rcond=None)[0]
            self._among = heard, weights
        return self._among[1]

    def multiple(self, unit: int, weight: float) -> float:
        """Return weight / c, or another number where c is next to nothing: any one will do."""
        own = self.weights[unit]
        return weight / (own if abs(own) > NEGLIGIBLE * self._largest else self._largest)

    def beyond(self, unit: int, weight: float, multiple: float) -> float:
        """Return what a weight has beyond a multiple of c, zero for rounding."""
        beyond = weight - multiple * self.weights[unit]
        return beyond if abs(beyond) > ROUNDING * abs(weight) else 0.0


def full_weights(code: GradientCode) -> FloatArray:
    """Return weights c with sum_u c_u A[u, j] = 1 for every task j, shape (n_symbols,).

    All equal where that is possible, of least norm otherwise.

    Raises
    ------
    UsageError: all symbols together do not hold the sum of all task gradients.
    """
    wanted = np.ones(code.n_tasks)
    sums = np.asarray(code.matrix.sum(axis=0)).ravel()
    mean = float(sums.mean())
    if mean > 0 and np.abs(sums - mean).max() <= ROUNDING * code.n_symbols * mean:
        return np.full(code.n_symbols, 1.0 / mean)
    dense = code.matrix.toarray()
    weights: FloatArray = np.linalg.lstsq(dense.T, wanted, rcond=None)[0]
    if np.mean((weights @ dense - wanted) ** 2) > EXACT_ERROR:
        raise UsageError(
            f"a cached estimate adds up what is remembered of all workers, and code '{code.name}'"
            " does not get the full gradient in that way; use frc, pairwise-balanced, regular,"
            " osgc or another code in which all tasks count equally"
        )
    return weights
