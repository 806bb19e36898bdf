"""The changes of a round's arrivals, weighed by the decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.blas import add_weighted
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.memory import NEVER, Memory, Remembered
from erasurehead.estimating.sums import Accumulator, Share
from erasurehead.estimating.weighed_memory import WeighedMemory
from erasurehead.parts import Work


class WeighedChanges:
    """sum_u c_u h_u + D(y - h) of gradients; D is the decoder's weighted sum.

    If the decoder's weights are the same multiple of all c, this is the memory's old sum plus that
    multiple of its growth, and no vector is read for it. What weights have beyond a common multiple
    is added up in a sum of its own; if they differ from round to round in the same way, by what is
    known of the last round's (`WeighedMemory`). That takes one vector of all parameters, or two.

    `fold` a vector before it arrives in the memory, `close` after the memory.

    Parameters
    ----------
    memory: has h, and y of the round.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._excess: Accumulator | None = None
        self._has_excess = False
        self._weighed: WeighedMemory | None = None
        self._weights_differ = False
        self._common_multiple = 0.0
        self._multiple = 0.0

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self._multiple = self._common_multiple
        self._has_excess = False
        if self._weighed is not None:
            self._weighed.begin()

    def fold(self, vector: CodedVector, weight: float) -> Sequence[Share]:
        """Take a vector whose weight is known; return the sums to which it is to be added."""
        units, unit = self._memory.units, self._unit_of(vector)
        if not self._multiple:
            self._multiple = units.multiple(unit, weight)
        if unit in self._memory.fresh:
            self._weigh(vector, weight)
            return ()
        beyond = units.beyond(unit, weight, self._multiple)
        if self._weighed is None:
            self._weights_differ |= beyond != 0.0
            self._weigh(vector, beyond)
        elif beyond:
            return (self._weighed.share(unit, beyond),)
        return ()

    def replaced(self, vector: CodedVector, old: Remembered) -> None:
        """Take note that a vector came late and has replaced an old one."""
        if self._weighed is not None:
            self._weighed.replace(self._unit_of(vector), old, vector)

    def close(self, decoding: Decoding, held: Mapping[int, CodedVector]) -> None:
        """Weigh what was held until the round closed."""
        units, scale = self._memory.units, decoding.scale
        if self._excess is not None and self._has_excess and scale != 1.0:
            excess = self._excess.sum
            excess *= scale
        if not self._multiple:  # nothing was folded in
            counted = [s for s, weight in decoding.held.items() if weight]
            if counted:
                unit, weight = units.of_symbol[counted[0]], decoding.held[counted[0]] / scale
                self._multiple = units.multiple(unit, weight)
        for symbol in sorted(held):
            vector, weight = held[symbol], decoding.held.get(symbol, 0.0)
            unit = units.of_symbol[symbol]
            if self._memory.fresh[unit] is vector:
                weight = units.beyond(unit, weight, scale * self._multiple)
            self._weigh(vector, weight)

    def estimate(self, scale: float, gradient: FloatArray) -> Work:
        """Return the work that fills `gradient`, in parts in which the memory is renewed.

        To be called once in a round, whether the work is then done or not.
        """
        step = scale * self._multiple
        total, renewed = self._memory.total, self._memory.renewed
        excess = self._excess.sum if self._excess is not None and self._has_excess else None
        changes = None if self._weighed is None else self._weighed.changes(self._memory.known)

        def fill(part: slice) -> None:
            here = gradient[part]
            if step == 1.0:
                here[:] = renewed[part]
            else:
                np.multiply(total[part], 1.0 - step, out=here)
                add_weighted(here, renewed[part], step)
            if excess is not None:
                here += excess[part]
            if changes is not None:
                add_weighted(here, changes[part], scale)

        return fill

    def absorb(self) -> None:
        """Take note that what arrived will be remembered."""
        if self._weighed is not None:
            self._weighed.absorb()
        else:
            self._expect_what_was_seen()

    def reject(self) -> None:
        """Take note that what arrived will not be remembered."""
        if self._weighed is not None:
            self._weighed.reject()
        else:
            self._expect_what_was_seen()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold between two rounds; partly the sums' own arrays."""
        if self._weighed is None:
            return {}
        return {"common_weight": np.array(self._common_multiple)} | self._weighed.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        if "weighed" in state:
            self._expect_differing(float(state["common_weight"])).load_state(state)

    def _unit_of(self, vector: CodedVector) -> int:
        return self._memory.units.of_symbol[vector.symbol]

    def _expect_what_was_seen(self) -> None:
        if self._weights_differ:
            self._expect_differing(self._multiple)

    def _expect_differing(self, multiple: float) -> WeighedMemory:
        """From the next round on, weigh what weights have beyond `multiple` times c by memory."""
        self._common_multiple = multiple
        self._weighed = WeighedMemory(self._memory.n_parameters, len(self._memory.units))
        return self._weighed

    def _weigh(self, vector: CodedVector, beyond: float) -> None:
        """Add a vector's change, weighted by what its weight has beyond the common multiple."""
        if beyond == 0.0:
            return
        if self._excess is None:
            self._excess = Accumulator(self._memory.n_parameters)
        if not self._has_excess:
            self._excess.clear()
            self._has_excess = True
        known, support = self._memory.known[self._unit_of(vector)], vector.support
        if support is not None and known.round != NEVER and _same(support, known.support):
            # Adding to scattered parameters costs more than subtracting first.
            change = np.subtract(vector.values, known.values, dtype=np.float64)
            self._excess.add(support, change, beyond)
            return
        self._excess.add(support, vector.values, beyond)
        if known.round != NEVER:
            self._excess.add(known.support, known.values, -beyond)


def _same(one: IntArray, other: IntArray | None) -> bool:
    return one is other or (other is not None and np.array_equal(one, other))
