"""Gradient descent."""

from __future__ import annotations

from typing import ClassVar

from erasurehead.optimizing.base import Move
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.steps import StepSize


class GradientDescent(OnePoint):
    """theta <- theta - eta_t grad f(theta)."""

    proximal: ClassVar[bool] = True

    def step(self, found: Finding, size: StepSize) -> Move:
        """Move theta against the gradient."""
        eta = size.size(found)
        for here, scratch in self._blocks():
            self.penalty.descend(self._theta, found.gradient, eta, here, scratch)
        return Move(eta)
