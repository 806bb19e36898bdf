"""A quadratic whose minimum is known, as methods are told of it."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Move, Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import StepSize


class Quadratic:
    """f(x) = (1/2) (x - b)^T H (x - b), eigenvalues from 1 to 10: condition number 10."""

    def __init__(self, n: int = 30) -> None:
        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
        self.H = (basis * np.linspace(1, 10, n)) @ basis.T
        self.b = rng.normal(size=n)
        self.b /= np.linalg.norm(self.b)

    def value(self, x: FloatArray) -> float:
        return float(0.5 * (x - self.b) @ self.H @ (x - self.b))

    def gradient(self, x: FloatArray) -> FloatArray:
        return np.asarray(self.H @ (x - self.b))

    def step(self, method: Method, size: StepSize, round_: int) -> Move:
        """Let a method have its answer of a round."""
        loss = self.value(method.query) + method.penalty.value(method.query)
        gradient = self.gradient(method.query)
        gradient.flags.writeable = False
        return method.step(Finding(round_, loss, gradient, 0.0), size)


class KnownCurvature:
    """Of a Hessian that is given."""

    bounded = True
    measured = True

    def __init__(self, hessian: FloatArray) -> None:
        self.hessian = hessian

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        scale = np.ones(len(self.hessian)) if metric is None else metric**-0.5
        whole = self.hessian if besides is None else self.hessian + np.diag(besides)
        return float(np.linalg.eigvalsh(scale[:, None] * whole * scale)[-1])

    def by_parameter(self) -> FloatArray:
        return np.diag(self.hessian).copy()


def described(quadratic: Quadratic, l2: float = 0.0) -> Problem:
    """Return what a method is told of a quadratic before its first round: it starts from 0."""
    return Problem(np.zeros(len(quadratic.b)), L2(l2), KnownCurvature(quadratic.H))
