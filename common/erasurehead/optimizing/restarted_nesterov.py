"""Nesterov's accelerated gradient in a metric, begun again when it overshoots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead import blas
from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Move, Problem, Unit
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.metric import POWER, MetricSteps
from erasurehead.optimizing.steps import StepSize


class RestartedNesterov(Method):
    """beta_+ = y - eta D^-1 grad f(y) / L; y = beta_+ + (t - 1)/t_+ (beta_+ - beta).

    L is the largest curvature in the metric D; t begins at 1, and t_+ = (1 + sqrt(1 + 4 t^2))/2
    (Beck, Teboulle, FISTA, 2009). Where the last move and the gradient have an angle below 90
    degrees, momentum carries uphill, and t begins again (O'Donoghue, Candes, "Adaptive restart for
    accelerated gradient schemes", 2015). So no one need know how strongly convex the objective is.

    Parameters
    ----------
    problem: what is minimised; the metric is its curvature by parameter, to a power.
    power: 0 is no metric, 1 the diagonal of the Hessian.

    Raises
    ------
    UsageError: the power is out of range, or the curvature has no bound.
    """

    needs_curvature: ClassVar[bool] = True
    proximal: ClassVar[bool] = True
    unit: ClassVar[Unit] = 1.0

    def __init__(self, problem: Problem, *, power: float = POWER) -> None:
        super().__init__(problem)
        self._steps = MetricSteps(problem, power)
        self._beta, self._y = problem.start.copy(), problem.start.copy()
        self._move = np.empty(self.n_parameters)
        self._t = 1.0

    @property
    def query(self) -> FloatArray:
        """The extrapolated point y."""
        return self._y

    @property
    def model(self) -> FloatArray:
        """Beta."""
        return self._beta

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move beta and y."""
        eta = size.size(found)
        uphill = 0.0
        for here, step in self._blocks():
            beta, y, move = self._beta[here], self._y[here], self._move[here]
            self._steps.descend(found.gradient, self._y, here, eta, step)
            np.subtract(y, beta, out=move)
            beta[:] = y
            # Along the gradient again, or what stands for it where there is none.
            step /= self._steps.scale[here]
            uphill += blas.dot(step, move)
        if uphill > 0.0:
            self._t = 1.0
        following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * self._t**2))
        momentum = (self._t - 1.0) / following
        self._t = following
        for here, scratch in self._blocks():
            np.multiply(self._move[here], momentum, out=scratch)
            self._y[here] += scratch
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return beta, y and t."""
        return {"beta": self._beta, "y": self._y, "t": np.array([self._t])}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take beta, y and t."""
        beta, y = self._vector(state, "beta"), self._vector(state, "y")
        [t] = self._numbers(state, "t")
        self._beta[:], self._y[:] = beta, y
        self._t = float(t)
