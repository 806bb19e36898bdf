"""A witness of anchored L-BFGS: the study's update rule in its plainest form, with dense matrices.

All pairs are kept, and all units must be heard in the first round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Move, Problem
from erasurehead.optimizing.finding import Finding, Renewal
from erasurehead.optimizing.steps import StepSize


class DenseAnchored(Method):
    """theta <- abar - H g / sigma."""

    follows_units: ClassVar[bool] = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        l2 = problem.penalty.curvature
        self.metric = np.sqrt(problem.curvature.by_parameter() + l2)
        besides = np.full(self.n_parameters, l2)
        self.largest = problem.curvature.largest(self.metric, besides)
        self.first_gamma = self.gamma = 1.0 / self.largest
        self.theta = problem.start.copy()
        self.mean, self.gradient = problem.start.copy(), np.zeros(self.n_parameters)
        self.sigma, self.kappa, self.rejections = 1.0, 0.0, 0
        self.pairs: list[tuple[FloatArray, FloatArray]] = []
        self.lengths: list[float] = []
        self.renewed: set[int] = set()
        self.base: tuple[FloatArray, FloatArray] | None = None

    @property
    def query(self) -> FloatArray:
        return self.theta

    @property
    def model(self) -> FloatArray:
        return self.theta

    def step(self, found: Finding, size: StepSize) -> Move:
        n_units = len(found.ages)
        self.kappa = self.ratio(found)
        if self.lengths:
            self.lengths[-1] /= max(1.0, self.kappa)
        rejects = self.kappa > 3 * self.sigma and self.rejections < 5
        if rejects:
            self.reject()
        else:
            self.absorb(found, n_units)
        self.pair(n_units)
        step = size.size(found) / self.sigma * (self.inverse() @ self.gradient)
        length = float(np.sqrt(step @ (self.metric * step)))
        most = 2 * max(self.lengths[-10:], default=np.inf)
        self.lengths.append(min(length, most))
        self.theta[:] = self.mean - step * min(1.0, most / length)
        return Move(1.0, rejects)

    def ratio(self, found: Finding) -> float:
        """The curvature that units met on their way from their anchors, over the one expected."""
        B, met, expected = np.linalg.inv(self.inverse()), 0.0, 0.0
        for renewal in found.renewals:
            known, fresh = renewal.known, renewal.fresh
            if known is None:
                continue
            way = fresh.point - known.point
            beyond = fresh.loss - known.loss - float(known.values @ way)
            met += 2 * renewal.share * beyond
            expected += max(float(way @ B @ way - way @ self.pulled(way)), 0.0) / len(found.ages)
        return met / expected if expected else 0.0

    def reject(self) -> None:
        self.rejections += 1
        if self.kappa > 10 * self.sigma:
            self.pairs, self.gamma, self.base = [], self.first_gamma, None
            self.sigma = max(self.sigma, min(self.kappa, 100.0))
        else:
            self.sigma = self.kappa

    def absorb(self, found: Finding, n_units: int) -> None:
        self.rejections = 0
        decayed = 1 + (self.sigma - 1) * 0.92 ** len(found.renewals)
        self.sigma = self.kappa if self.kappa > self.sigma else max(1.0, decayed)
        self.renewed |= {renewal.unit for renewal in found.renewals}
        for renewal in found.renewals:
            self.mean += moved(renewal) / n_units
        self.gradient = found.gradient + self.pulled(self.mean)

    def pair(self, n_units: int) -> None:
        """Learn from what has changed since the last pair, once enough units were renewed."""
        if self.base is not None:
            if len(self.renewed) < 0.2 * n_units:
                return
            s, y = self.mean - self.base[0], self.gradient - self.base[1]
            curved, of_change = float(s @ y), float(y @ (y / self.metric))
            least = 1e-8 * self.largest * float(s @ (self.metric * s))
            if curved > least and of_change <= 3 * self.largest * curved:
                self.pairs.append((s, y))
                self.gamma = curved / of_change
        self.base, self.renewed = (self.mean.copy(), self.gradient), set()

    def inverse(self) -> FloatArray:
        """H by the recursion of BFGS from gamma D^-1."""
        H = np.diag(self.gamma / self.metric)
        for s, y in self.pairs:
            V = np.eye(len(s)) - np.outer(s, y) / (s @ y)
            H = V @ H @ V.T + np.outer(s, s) / (s @ y)
        return H

    def pulled(self, theta: FloatArray) -> FloatArray:
        """The penalty's gradient."""
        gradient = np.zeros(self.n_parameters)
        self.penalty.add_to(gradient, theta)
        return gradient

    def state(self) -> dict[str, npt.NDArray[Any]]:
        raise NotImplementedError

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        raise NotImplementedError


def moved(renewal: Renewal) -> FloatArray:
    """Return how far a unit's anchor moves; from 0 if it had none."""
    if renewal.known is None:
        return renewal.fresh.point
    return renewal.fresh.point - renewal.known.point
