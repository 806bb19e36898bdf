"""Gradient descent with momentum, also known as the heavy ball."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Move, Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.steps import StepSize


class Momentum(OnePoint):
    """v <- mu v + grad f(theta); theta <- theta - eta_t v.

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964, in the form of
    torch.optim.SGD: where eta changes from round to round, the old moves change with it. Gradients
    of the penalty are part of v.

    A steady gradient g moves theta by eta g / (1 - mu) a round, so that eta is usually smaller than
    without momentum. Erasures and batches make v noisier than the gradient of one round is, by
    (1 - mu^2)^-1/2 beside that factor.

    Parameters
    ----------
    problem: what is minimised.
    momentum: mu, at least 0 and below 1.

    Raises
    ------
    UsageError: mu is out of range.
    """

    def __init__(self, problem: Problem, *, momentum: float = 0.9) -> None:
        super().__init__(problem)
        if not 0 <= momentum < 1:
            raise UsageError(
                f"momentum={momentum:g} of optimizer 'momentum' must be at least 0 and below 1"
            )
        self._momentum = momentum
        self._velocity = np.zeros(self.n_parameters)

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move theta on, and a little against the gradient."""
        eta = size.size(found)
        for here, scratch in self._blocks():
            velocity = self._velocity[here]
            self.penalty.slope(self._theta, here, scratch)
            scratch += found.gradient[here]
            velocity *= self._momentum
            velocity += scratch
            np.multiply(velocity, eta, out=scratch)
            self._theta[here] -= scratch
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return theta and v."""
        return super().state() | {"velocity": self._velocity}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take theta and v."""
        velocity = self._vector(state, "velocity")
        super().load_state(state)
        self._velocity[:] = velocity
