"""Gradient descent in a metric."""

from __future__ import annotations

from typing import ClassVar

from erasurehead.optimizing.base import Move, Problem, Unit
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.metric import POWER, MetricSteps
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.steps import StepSize


class Diagonal(OnePoint):
    """theta <- theta - eta D^-1 grad f(theta) / (the largest curvature in the metric D).

    It costs what gradient descent does, needs no full gradients, and takes a share of its rounds,
    since columns that few rows have move as fast as others. A penalty without a gradient takes its
    proximal step in the metric: parameter j goes towards 0 by eta l1 / (D_j L), not beyond.

    Parameters
    ----------
    problem: what is minimised; the metric is its curvature by parameter, to a power.
    power: 0 is gradient descent, 1 divides by the diagonal of the Hessian.

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

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move theta against the gradient, less where the loss curves more."""
        eta = size.size(found)
        for here, scratch in self._blocks():
            self._steps.descend(found.gradient, self._theta, here, eta, scratch)
        return Move(eta)
