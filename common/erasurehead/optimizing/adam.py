"""Adam: steps of about the same length in every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Move, Problem, Unit
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.steps import StepSize

USUAL_STEP = 1e-3
"""The paper's."""


class Adam(OnePoint):
    """theta <- theta - eta_t m_hat / (sqrt(v_hat) + epsilon), after the t-th gradient g_t.

    m <- beta1 m + (1 - beta1) g_t and v <- beta2 v + (1 - beta2) g_t^2, both from 0, are means of
    the last gradients and of their squares; m_hat = m / (1 - beta1^t) and v_hat = v / (1 - beta2^t)
    take out that they began at 0. Kingma, Ba, "Adam: a method for stochastic optimization", 2015,
    algorithm 1 (arXiv 1412.6980). Gradients of the penalty are part of g.

    The gradients' variance is in v, so that noise makes steps shorter; a factor of all gradients is
    in no step. A bias that depends on what was remembered or on who is heard would stay in m and
    look like a steady slope: only rounds without one are taken.

    Parameters
    ----------
    problem: what is minimised.
    beta1, beta2: at least 0 and below 1.
    epsilon: above 0.

    Raises
    ------
    UsageError: a value out of range.
    """

    needs_unbiased_rounds: ClassVar[bool] = True
    unit: ClassVar[Unit] = USUAL_STEP

    def __init__(
        self,
        problem: Problem,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(problem)
        for name, value in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= value < 1:
                raise UsageError(
                    f"{name}={value:g} of optimizer 'adam' must be at least 0 and below 1"
                )
        if not (math.isfinite(epsilon) and epsilon > 0):
            raise UsageError(f"epsilon={epsilon:g} of optimizer 'adam' must be positive")
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self._mean, self._square = np.zeros((2, self.n_parameters))
        self._steps = 0

    def step(self, found: Finding, size: StepSize) -> Move:
        """Take the gradient into both means, and move theta by their quotient."""
        eta = size.size(found)
        self._steps += 1
        of_mean = 1.0 - self._beta1**self._steps
        of_square = math.sqrt(1.0 - self._beta2**self._steps)
        for here, scratch in self._blocks():
            mean, square = self._mean[here], self._square[here]
            self.penalty.slope(self._theta, here, scratch)
            scratch += found.gradient[here]
            square *= self._beta2
            mean *= self._beta1
            # In two steps, for there is one block of scratch.
            scratch *= 1.0 - self._beta1
            mean += scratch
            scratch *= scratch
            scratch *= (1.0 - self._beta2) / (1.0 - self._beta1) ** 2
            square += scratch
            np.sqrt(square, out=scratch)
            scratch /= of_square
            scratch += self._epsilon
            np.divide(mean, scratch, out=scratch)
            scratch *= eta / of_mean
            self._theta[here] -= scratch
        return Move(eta)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return theta, both means and the number of gradients."""
        return super().state() | {
            "mean": self._mean,
            "square": self._square,
            "steps": np.array([float(self._steps)]),
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take theta, both means and the number of gradients."""
        mean, square = self._vector(state, "mean"), self._vector(state, "square")
        [steps] = self._numbers(state, "steps")
        super().load_state(state)
        self._mean[:], self._square[:] = mean, square
        self._steps = int(steps)
