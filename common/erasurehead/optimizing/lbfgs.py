"""L-BFGS for rounds that have the full gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Move, Problem, Unit
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.metric import POWER
from erasurehead.optimizing.newton_steps import FIRST_STEP, PAIRS, Direction, NewtonSteps
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.pairs import Digits
from erasurehead.optimizing.steps import StepSize
from erasurehead.parts import STRETCH, pieces, stretches

SUFFICIENT = 1e-4
"""Share of the fall that the slope promises for a step not to be taken back (Armijo)."""

ROUNDING = 1e-12
"""Of losses, relative: so much more is no rise."""

GROWTH = 4.0
"""Of steps; one that is too long is taken back."""

SHORTENED = (0.1, 0.5)
"""A step that is taken back is shortened to a share between these."""

NO_STEP = 1e-28
"""Of the loss: a step that gains less changes parameters by less than 1e-14 of themselves or so."""

TRIES = 3
"""After so many steps that were taken back in a row, pairs are forgotten."""


class Lbfgs(OnePoint):
    """theta <- theta - H g in a metric, taken back to a point nearer by where the loss has risen.

    H is that of the last pairs (`CurvaturePairs`), from gamma D^-1. There is no search along a
    step: every point costs a round, and the step 1 nearly always will do. If not, the next round
    asks at the minimum of the parabola through what is known. No step is many times longer than
    those before (`StepCap`).

    A round that erasures have left inexact has other rows than the next one: it teaches nothing,
    and is followed by a step gamma_0 D^-1 g, for which H is not asked.

    Memory: 5 vectors of all parameters besides those of the pairs.

    Parameters
    ----------
    problem: what is minimised; the metric is its curvature by parameter, to a power.
    pairs: how many are kept.
    power: 0 is no metric, 1 the diagonal of the Hessian itself.
    first_step: how many times as long as the inverse of the largest curvature says the first step
        is.
    digits: in which pairs are kept.

    Attributes
    ----------
    steps: metric, pairs and cap.

    Raises
    ------
    UsageError: a value out of range.
    """

    damping: ClassVar[float] = 0.0
    """See `NewtonSteps`; 0: pairs without curvature are left out."""

    needs_exact_rounds: ClassVar[bool] = True
    predicts: ClassVar[bool] = True
    unit: ClassVar[Unit] = 1.0

    def __init__(
        self,
        problem: Problem,
        *,
        pairs: int = PAIRS,
        power: float = POWER,
        first_step: float = FIRST_STEP,
        digits: Digits = "f8",
    ) -> None:
        super().__init__(problem)
        self.steps = NewtonSteps(
            problem, power, first_step, pairs, digits, GROWTH, self._in_parts, self.damping
        )
        self._origin = problem.start.copy()
        self._loss = math.nan
        """At the origin, from which the last step went; nan: it is not known."""
        self._slope = 0.0
        """Of the loss at the origin, times the step."""
        self._of_step = np.zeros(self.steps.pairs.n_products)
        """Products of the step with all pairs."""
        self._taken_back = 0

    @property
    def predicted_decrease(self) -> float | None:
        """By the pairs, from the last point with a full gradient that was not taken back."""
        return self.steps.decrease

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move theta, on from where it is or back towards the last point."""
        eta = size.size(found)
        if self._has_risen(found):
            self._take_back(found.loss, eta)
            return Move(eta, rejects=True)
        self._taken_back = 0
        pair = self._renew(found)
        if self._was_rounding(found.loss):
            pair = None
        if found.is_exact:
            self._loss = found.loss
            self._go(self.steps.turn(pair, self._of_step, begins=True), eta)
        else:
            self._loss = math.nan
            self._go(self.steps.straight(), eta)
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; the method's own arrays."""
        own = {
            "origin": self._origin,
            "of_step": self._of_step,
            "losses": np.array([self._loss, self._slope, self._taken_back]),
        }
        return super().state() | own | self.steps.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from `state`."""
        super().load_state(state)
        self._origin[:] = self._vector(state, "origin")
        self._vector(state, "gradient")
        loss, slope, taken_back = self._numbers(state, "losses", 3)
        self._loss, self._slope, self._taken_back = float(loss), float(slope), int(taken_back)
        self._of_step = state["of_step"].copy()
        self.steps.load_state(state)

    def _has_risen(self, found: Finding) -> bool:
        """Return whether the loss is known to have fallen by less than it should have."""
        if math.isnan(self._loss) or not found.is_exact:
            return False
        rounding = ROUNDING * (abs(self._loss) + abs(found.loss))
        return found.loss > self._loss + SUFFICIENT * self._slope + rounding

    def _was_rounding(self, loss: float) -> bool:
        """Return whether the last step was to gain so little that it was rounding, as its pair is.

        Such a pair would push out all that were learnt, and nobody could tell any more that the
        minimum is reached.
        """
        decrease = self.steps.decrease
        return decrease is not None and decrease <= NO_STEP * (abs(self._loss) + abs(loss))

    def _take_back(self, loss: float, eta: float) -> None:
        """Put theta between the origin and where it is, or on another way from the origin."""
        self._taken_back += 1
        if self._taken_back == TRIES:
            self.steps.pairs.clear()
            self._go(self.steps.turn(None, self._of_step, begins=True), eta)
            return
        least, most = SHORTENED
        share = -self._slope / (2.0 * (loss - self._loss - self._slope))
        share = min(max(share, least), most)
        self._slope *= share
        self._of_step *= share
        self.steps.shorten(self._origin, share, self._theta)

    def _renew(self, found: Finding) -> FloatArray | None:
        """Take the gradient at theta, and a pair if that at the origin is known."""
        learns = found.is_exact and not math.isnan(self._loss)
        pair = np.zeros((3, pieces(slice(0, self.n_parameters)).stop))

        def renew(part: slice) -> None:
            scratch = np.empty((2, min(STRETCH, part.stop - part.start)))
            for here in stretches(part):
                changed, step = scratch[:, : here.stop - here.start]
                self.steps.renew(found.gradient, self._theta, here, changed)
                if learns:
                    np.subtract(self._theta[here], self._origin[here], out=step)
                    pair[:, pieces(here)] = self.steps.put(step, changed, here)
                self._origin[here] = self._theta[here]
                self.steps.multiply(here)

        self.steps.begin(multiplies=found.is_exact)
        self._in_parts(self.n_parameters, renew)
        return np.asarray(pair.sum(axis=1)) if learns else None

    def _go(self, along: Direction, eta: float) -> None:
        gone = self.steps.go(self._origin, along, eta, self._theta)
        self._slope, self._of_step = gone.slope, gone.products
