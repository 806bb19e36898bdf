"""The arithmetic of a run: folding arrivals, decoding, stepping. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.blas import squared_norm
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.sums import InParts, at_once
from erasurehead.optimizing.base import Method
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.steps import StepSize
from erasurehead_master.machine.plan import RunPlan

DIVERGED_ABOVE = 1e100
"""A loss or gradient this large is on its way to infinity; stopping here keeps the model finite."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one step did; `diverged` says why no step was taken."""

    gradient_norm: float
    step_size: float
    train_loss: float
    diverged: str | None = None


def make_estimate(plan: RunPlan) -> GradientEstimate:
    """Build the gradient estimate that a plan names."""
    return ESTIMATES.build(plan.estimate, plan.code, plan.columns, plan.exact)


class Descent:
    """How the model of one run moves: gradient estimate, method and step size.

    Parameters
    ----------
    method: holds the model, and knows the penalty.
    size: how far the method steps.
    estimate: applies the decoder's weights to coded gradients.
    training_rows: N; the objective is the mean loss over them plus the penalty.
    in_parts: how estimates work on long sums.
    """

    def __init__(
        self,
        method: Method,
        size: StepSize,
        estimate: GradientEstimate,
        training_rows: int,
        in_parts: InParts = at_once,
    ) -> None:
        self.method = method
        self.size = size
        self.estimate = estimate
        self.training_rows = training_rows
        self._in_parts = in_parts
        estimate.in_parts = in_parts

    @property
    def model(self) -> FloatArray:
        """The method's estimate of the minimum, its own array: valid until the next step."""
        return self.method.model

    def begin(self) -> None:
        """Forget the last round's arrivals."""
        self.estimate.begin()

    def slice(self, support: npt.NDArray[Any] | None) -> FloatArray:
        """Return a fresh copy of the point to broadcast, on a support (None: all columns)."""
        query = self.method.query
        return query.copy() if support is None else query[support]

    def take(self, vector: CodedVector, weight: float | None) -> None:
        """Take one vector of an arrival with its weight (None: known when the round closes)."""
        self.estimate.take(vector, weight)

    def late(self, vector: CodedVector, age: int) -> None:
        """Offer one vector of a result that is `age` rounds old."""
        self.estimate.late(vector, age)

    def rebuild(self, plan: RunPlan, *, keep_memory: bool = False) -> None:
        """Go on with the gradient estimate of another code; the model stays.

        `keep_memory` says that what the old estimate remembers holds for the new one.
        """
        old, self.estimate = self.estimate, make_estimate(plan)
        self.estimate.in_parts = self._in_parts
        if keep_memory:
            self.estimate.load_state(old.state())

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of everything a checkpoint must hold."""
        owners = {
            "optimizer": self.method.state(),
            "step": self.size.state(),
            "estimate": self.estimate.state(),
        }
        return {
            f"{owner}/{name}": np.array(array)
            for owner, arrays in owners.items()
            for name, array in arrays.items()
        }

    def step(self, decoding: Decoding, round_: int) -> StepOutcome:
        """Decode, and let the method step unless something is not finite."""
        gradient, loss_sum = self.estimate.finish(decoding)
        gradient /= self.training_rows
        norm = math.sqrt(squared_norm(gradient))
        loss = loss_sum / self.training_rows + self.method.penalty.value(self.method.query)
        if not (norm < DIVERGED_ABOVE and loss < DIVERGED_ABOVE):
            self.estimate.reject()
            return StepOutcome(
                norm,
                0.0,
                loss,
                f"the run diverged in round {round_}: the training loss is {loss:g} and the"
                f" gradient's norm {norm:g}; take a smaller --step",
            )
        found = Finding(round_, loss, gradient, decoding.decode_error)
        size = self.method.step(found, self.size)
        self.estimate.absorb()
        return StepOutcome(norm, size, loss)
