"""SAGA: the sum of what is remembered, corrected by the decoder's sum of the changes.

Erasures cost the *change* of a gradient, which vanishes as the model converges: the error floor of
approximate codes is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.changes import WeighedChanges
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.decoded import Decoded
from erasurehead.estimating.memory import Memory
from erasurehead.estimating.sums import Accumulator


class SagaEstimate(GradientEstimate):
    """g_hat = sum_u c_u h_u + D(y - h), then h_u <- y_u for what arrived: unbiased if D is.

    A round whose arrivals decode exactly (alpha = 1) is D(y) and nothing else: for a code without
    groups, sum_u c_u h_u - D(h) would mix in values of several rounds. After Defazio, Bach,
    Lacoste-Julien (arXiv 1407.0202), with coded gradients in place of samples.

    Memory: one vector a unit, and three of all parameters (up to six if weights differ).

    Parameters
    ----------
    code, n_parameters: see `erasurehead.estimating.memory.Memory`.
    ordered: not used; the sum of changes depends on the order of arrival to rounding.
    """

    unbiased: ClassVar[bool] = True

    memory: Memory

    def __init__(self, code: GradientCode, n_parameters: int, ordered: bool = False) -> None:
        self.memory = Memory(code, n_parameters)
        self._decoded = Decoded(self.memory)
        self._changes = WeighedChanges(self.memory)
        self._gradient = Accumulator(n_parameters)

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self.memory.begin()
        self._decoded.begin()
        self._changes.begin()

    def fold(self, vector: CodedVector, weight: float) -> None:
        """Add a vector whose weight is known."""
        self._decoded.fold(vector, weight)
        self.memory.arrive(vector, self.in_parts, self._changes.fold(vector, weight))

    def hold(self, vector: CodedVector) -> None:
        """Keep a vector whose weight is known only when the round closes."""
        self._decoded.hold(vector)
        self.memory.arrive(vector, self.in_parts)

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses."""
        memory = self.memory
        memory.close(self.in_parts)
        is_enough = self._decoded.is_enough(decoding)
        if is_enough:
            loss = self._decoded.add_up(decoding, self._gradient)
        else:
            loss = memory.total_loss + self._decoded.loss_change(decoding)
            self._changes.close(decoding, self._decoded.held)
        renew = memory.renewal()
        fill = self._changes.estimate(decoding.scale, self._gradient.sum)

        def form(part: slice) -> None:
            renew(part)
            if not is_enough:
                fill(part)

        self.in_parts(memory.n_parameters, form)
        return self._gradient.sum, loss

    def absorb(self) -> None:
        """Remember what arrived in the round that was finished."""
        self._changes.absorb()
        self.memory.absorb()

    def reject(self) -> None:
        """Remember nothing of the round that was finished."""
        self._changes.reject()

    def late(self, vector: CodedVector, age: int = 1) -> None:
        """Remember a stale vector if it is newer than what is remembered, but not its loss."""
        old = self.memory.late(vector, age)
        if old is not None:
            self._changes.replaced(vector, old)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the estimate's own arrays."""
        return self.memory.state() | self._changes.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; see `erasurehead.estimating.memory.Memory`."""
        self.memory.load_state(state)
        self._changes.load_state(state)
