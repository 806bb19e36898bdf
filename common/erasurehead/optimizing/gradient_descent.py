"""Gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Move, Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.steps import StepSize


class GradientDescent(Method):
    """theta <- theta - eta_t grad f(theta)."""

    proximal: ClassVar[bool] = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._theta = problem.start.copy()

    @property
    def query(self) -> FloatArray:
        """Theta."""
        return self._theta

    @property
    def model(self) -> FloatArray:
        """Theta."""
        return self._theta

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move theta against the gradient."""
        eta = size.size(found)
        for here, scratch in self._blocks():
            self.penalty.descend(self._theta, found.gradient, eta, here, scratch)
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return theta."""
        return {"theta": self._theta}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take theta."""
        self._theta[:] = self._vector(state, "theta")
