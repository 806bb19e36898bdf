"""A method: gradient descent with momentum (Polyak 1964)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import Move, Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.steps import StepSize


class HeavyBall(OnePoint):
    """v <- momentum v - eta grad f(theta); theta <- theta + v."""

    def __init__(self, problem: Problem, *, momentum: float = 0.9) -> None:
        super().__init__(problem)
        self._momentum = momentum
        self._velocity = np.zeros(self.n_parameters)

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move, and remember the way."""
        eta = size.size(found)
        gradient = found.gradient.copy()
        self.penalty.add_to(gradient, self._theta)
        self._velocity *= self._momentum
        self._velocity -= eta * gradient
        self._theta += self._velocity
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return theta and the velocity."""
        return super().state() | {"velocity": self._velocity}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take theta and the velocity."""
        super().load_state(state)
        self._velocity[:] = self._vector(state, "velocity")


METHODS.register("heavy-ball", HeavyBall)
