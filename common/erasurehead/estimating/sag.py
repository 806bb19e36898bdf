"""SAG: the sum of what is remembered, after what arrived has been renewed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.decoded import Decoded
from erasurehead.estimating.memory import Memory
from erasurehead.estimating.sums import Accumulator


class SagEstimate(GradientEstimate):
    """g_hat = sum_u c_u h_u after h_u <- y_u for what arrived: biased, no weights, stable.

    Until every unit was heard once, the sum is scaled up by units over units heard. If some of a
    code without groups are silent for long (`Memory.stand_ins`), its weights are those that bring
    the others nearest to the full gradient instead, unless it is to be that of the memory
    (`must_sum_memory`): dead slots, if the code tolerates as many, then take nothing away. When the
    decoding is exact, g_hat = D(y). After Schmidt, Le Roux, Bach (arXiv 1309.2388), with coded
    gradients in place of samples.

    Memory: one vector a unit, and three of all parameters.

    Parameters
    ----------
    code, n_parameters: see `erasurehead.estimating.memory.Memory`.
    ordered: not used; the sum depends on the order of arrival to rounding.
    """

    sums_memory: ClassVar[bool] = True

    memory: Memory

    def __init__(self, code: GradientCode, n_parameters: int, ordered: bool = False) -> None:
        self.memory = Memory(code, n_parameters)
        self._decoded = Decoded(self.memory)
        self._gradient = Accumulator(n_parameters)

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self.memory.sums = self.must_sum_memory
        self.memory.begin()
        self._decoded.begin()

    def fold(self, vector: CodedVector, weight: float) -> None:
        """Add a vector whose weight is known."""
        self._decoded.fold(vector, weight)
        self.memory.arrive(vector, self.in_parts)

    def hold(self, vector: CodedVector) -> None:
        """Keep a vector whose weight is known only when the round closes."""
        self._decoded.hold(vector)
        self.memory.arrive(vector, self.in_parts)

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses."""
        memory = self.memory
        memory.close(self.in_parts)
        if not self.must_sum_memory and self._decoded.is_enough(decoding):
            loss = self._decoded.add_up(decoding, self._gradient)
            self.in_parts(memory.n_parameters, memory.renewal())
            return self._gradient.sum, loss
        loss = memory.total_loss + self._decoded.loss_change(decoding)
        if self.must_sum_memory and 0 < memory.n_told < memory.units.n_held:
            # As for the gradient: those that were heard stand for all.
            loss = memory.renewed_loss * memory.units.n_held / memory.n_told
        stand_ins = [] if self.must_sum_memory else memory.stand_ins()
        scale = memory.units.n_held / memory.n_heard if memory.n_heard and not stand_ins else 1.0
        renew, renewed, gradient = memory.renewal(), memory.renewed, self._gradient.sum

        def form(part: slice) -> None:
            renew(part)
            np.multiply(renewed[part], scale, out=gradient[part])

        self.in_parts(memory.n_parameters, form)
        for vector, more in stand_ins:
            self._gradient.add(vector.support, vector.values, more)
        return gradient, loss

    def absorb(self) -> None:
        """Remember what arrived in the round that was finished."""
        self.memory.absorb()

    def join(self, vector: CodedVector, age: int) -> None:
        """Take a vector of an earlier round as if it had come in this one."""
        self.memory.join(vector, age, self.in_parts)

    def late(self, vector: CodedVector, age: int = 1) -> None:
        """Remember a stale vector if it is newer than what is remembered, but not its loss."""
        self.memory.late(vector, age)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the estimate's own arrays."""
        return self.memory.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; see `erasurehead.estimating.memory.Memory`."""
        self.memory.load_state(state)
