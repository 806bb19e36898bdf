"""The plain estimate: scale * sum of weighted coded gradients."""

from __future__ import annotations

import heapq
from typing import ClassVar

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.sums import Accumulator


class WeightedSum(GradientEstimate):
    """Folds arrivals into one dense sum: O(parameters) memory when the decoder streams.

    Floating-point sums depend on their order. With `ordered`, vectors are added by ascending block
    (by symbol for codes without blocks) instead of by arrival, so that rounds with the same blocks
    give bit-identical sums. A vector is then kept until those before it are in, or the round ends.

    Parameters
    ----------
    code: whose symbols arrive.
    n_parameters: length of a gradient.
    ordered: add in a fixed order.
    """

    unbiased: ClassVar[bool] = True

    def __init__(self, code: GradientCode, n_parameters: int, ordered: bool = False) -> None:
        self._ordered = ordered
        self._place: list[int] = code.unit_of_symbol.tolist()
        self._total = Accumulator(n_parameters)
        self.begin()

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self._total.clear()
        self._loss = 0.0
        self._next = 0
        self._early: list[tuple[int, int, CodedVector, float]] = []
        self._held: dict[int, CodedVector] = {}

    def fold(self, vector: CodedVector, weight: float) -> None:
        """Add a vector whose weight is known."""
        if not self._ordered:
            self._add(vector, weight)
            return
        place = self._place[vector.symbol]
        heapq.heappush(self._early, (place, vector.symbol, vector, weight))
        while self._early and self._early[0][0] == self._next:
            self._add_first()
            self._next += 1

    def hold(self, vector: CodedVector) -> None:
        """Keep a vector whose weight is known only when the round closes."""
        self._held[vector.symbol] = vector

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the weighted sums of gradients and losses."""
        while self._early:
            self._add_first()
        if decoding.scale != 1.0:
            total = self._total.sum
            total *= decoding.scale
            self._loss *= decoding.scale
        for symbol in sorted(self._held):
            weight = decoding.held.get(symbol, 0.0)
            if weight != 0.0:
                self._add(self._held[symbol], weight)
        self._held = {}
        return self._total.sum, self._loss

    def _add_first(self) -> None:
        _, _, vector, weight = heapq.heappop(self._early)
        self._add(vector, weight)

    def _add(self, vector: CodedVector, weight: float) -> None:
        self._total.add(vector.support, vector.values, weight)
        self._loss += weight * vector.loss
