"""What the decoder's weights alone make of a round's arrivals."""

from __future__ import annotations

import numpy as np

from erasurehead.decoding.base import EXACT_ERROR, Decoding
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.memory import Memory
from erasurehead.estimating.sums import Accumulator


class Decoded:
    """D(y - h) of losses, and D(y) of losses and gradients; D is the decoder's weighted sum.

    `fold` or `hold` a vector before it arrives in the memory.

    Parameters
    ----------
    memory: has h, and y of the round.

    Attributes
    ----------
    held: the vectors whose weights are known only when the round closes, by symbol.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.begin()

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self.held: dict[int, CodedVector] = {}
        self._folded: dict[int, float] = {}
        self._loss_change = 0.0

    def fold(self, vector: CodedVector, weight: float) -> None:
        """Take a vector whose weight is known."""
        self._folded[vector.symbol] = weight
        self._loss_change += weight * self._change_of_loss(vector)

    def hold(self, vector: CodedVector) -> None:
        """Take a vector whose weight is known only when the round closes."""
        self.held[vector.symbol] = vector

    def loss_change(self, decoding: Decoding) -> float:
        """Return D(y - h) of losses."""
        change = decoding.scale * self._loss_change
        for symbol in sorted(self.held):
            change += decoding.held.get(symbol, 0.0) * self._change_of_loss(self.held[symbol])
        return change

    def is_enough(self, decoding: Decoding) -> bool:
        """Return whether the round decodes exactly, so that nothing else has a say in it.

        With groups that is left to the memory: when every group has arrived, its new sum is D(y).
        """
        return decoding.decode_error <= EXACT_ERROR and not self._memory.units.are_groups

    def add_up(self, decoding: Decoding, gradient: Accumulator) -> float:
        """Make `gradient` D(y); return D(y) of losses.

        Only for codes whose units are their symbols, and before what arrived is renewed.
        """
        units, fresh = self._memory.units, self._memory.fresh
        scaled = {s: decoding.scale * weight for s, weight in self._folded.items()}
        weights = {s: w for s, w in (scaled | dict(decoding.held)).items() if w}
        loss = sum(weight * fresh[symbol].loss for symbol, weight in weights.items())
        first = next(iter(weights))
        multiple = units.multiple(first, weights[first])
        alike = not any(units.beyond(s, weight, multiple) for s, weight in weights.items())
        if alike and len(weights) == len(fresh):
            # The weights of all arrivals are that multiple of c, with which they were added up.
            np.multiply(self._memory.arrived, multiple, out=gradient.sum)
            return loss
        gradient.clear()
        for symbol, weight in weights.items():
            gradient.add(fresh[symbol].support, fresh[symbol].values, weight)
        return loss

    def _change_of_loss(self, vector: CodedVector) -> float:
        unit = self._memory.units.of_symbol[vector.symbol]
        return vector.loss - self._memory.known[unit].loss
