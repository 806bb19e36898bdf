"""Nesterov's accelerated gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Move, Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.steps import StepSize


class Nesterov(Method):
    """Nesterov's accelerated gradient in Tseng's three-sequence form.

    With step i from 0 and w_i = 2/(i+2), beta_0 = u_0 = the start: broadcast
    y_i = (1 - w_i) beta_i + w_i u_i; then beta_{i+1} = y_i - eta grad f(y_i) and
    u_{i+1} = beta_i + (beta_{i+1} - beta_i) / w_i. The gradient is taken at y; taking it at beta,
    as the research codes of gradient coding do, loses the acceleration.
    (Tseng, "On accelerated proximal gradient methods for convex-concave optimization", 2008.)
    """

    proximal: ClassVar[bool] = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._beta, self._u, self._y = (problem.start.copy() for _ in range(3))
        self._steps = 0

    @property
    def query(self) -> FloatArray:
        """The extrapolated point y."""
        return self._y

    @property
    def model(self) -> FloatArray:
        """Beta."""
        return self._beta

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move beta, u and y."""
        eta = size.size(found)
        weight = _momentum_weight(self._steps)
        self._steps += 1
        for here, scratch in self._blocks():
            beta, u, y = self._beta[here], self._u[here], self._y[here]
            self.penalty.descend(self._y, found.gradient, eta, here, scratch)
            np.subtract(y, beta, out=scratch)
            scratch /= weight
            np.add(beta, scratch, out=u)
            beta[:] = y
            self._look_ahead(here, scratch)
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return beta, u and the number of steps taken; y follows from them."""
        return {"beta": self._beta, "u": self._u, "steps": np.array([float(self._steps)])}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take beta, u and the number of steps."""
        beta, u = self._vector(state, "beta"), self._vector(state, "u")
        [steps] = self._numbers(state, "steps")
        self._beta[:], self._u[:] = beta, u
        self._steps = int(steps)
        for here, scratch in self._blocks():
            self._look_ahead(here, scratch)

    def _look_ahead(self, here: slice, scratch: FloatArray) -> None:
        """Put (1 - w) beta + w u into y, for the step to come."""
        weight = _momentum_weight(self._steps)
        y = self._y[here]
        np.multiply(self._beta[here], 1.0 - weight, out=y)
        np.multiply(self._u[here], weight, out=scratch)
        y += scratch


def _momentum_weight(step: int) -> float:
    return 2.0 / (step + 2.0)
