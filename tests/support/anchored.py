"""A quasi-Newton method that only tests know: what the room for methods must hold.

L-BFGS on (mean anchor, sum of remembered gradients) after the study that the next method is built
from, in its plainest form: dense matrices, no limit on the number of pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Move, Problem, Unit
from erasurehead.optimizing.finding import Ages, Finding, Renewal
from erasurehead.optimizing.steps import StepSize

REJECTED_ABOVE, CLEARED_ABOVE, RENEWED_SHARE, DECAY = 3.0, 10.0, 0.2, 0.92


class AnchoredBfgs(Method):
    """theta <- abar - H g / sigma.

    abar is the mean of the units' anchors, g the sum of their remembered gradients and the
    penalty's at abar, H from the pairs of their changes, and sigma what arrivals say of H: the
    curvature on their own way from their anchors, over the one that H has there.

    Parameters
    ----------
    problem: with curvatures by parameter, whose square root is the metric.
    oldest: a unit as old as this is waited for.
    gamma: scale of the first H; None: from the largest curvature in the metric.
    """

    unit: ClassVar[Unit] = "1"
    follows_units: ClassVar[bool] = True

    def __init__(self, problem: Problem, *, oldest: int = 9, gamma: float | None = None) -> None:
        super().__init__(problem)
        self.oldest = oldest
        self.metric = np.sqrt(problem.curvature.by_parameter() + problem.penalty.curvature)
        if gamma is None:
            of_penalty = problem.penalty.curvature / float(self.metric.min())
            gamma = 1.0 / (problem.curvature.largest(self.metric) + of_penalty)
        self.first_gamma = self.gamma = gamma
        self.theta = problem.start.copy()
        self.mean, self.gradient = problem.start.copy(), np.zeros(self.n_parameters)
        self.sigma, self.kappa, self.rejections = 1.0, 0.0, 0
        self.pairs: list[tuple[FloatArray, FloatArray]] = []
        self.heard: set[int] = set()
        self.renewed: set[int] = set()
        self.base: tuple[FloatArray, FloatArray] | None = None

    @property
    def query(self) -> FloatArray:
        return self.theta

    @property
    def model(self) -> FloatArray:
        return self.theta

    def overdue(self, ages: Ages) -> Collection[int]:
        return [u for u, age in enumerate(ages) if age is None or age >= self.oldest]

    def step(self, found: Finding, size: StepSize) -> Move:
        self.kappa = self.ratio(found)
        rejects = self.kappa > REJECTED_ABOVE * self.sigma and self.rejections < 5
        if rejects:
            self.reject()
        else:
            self.absorb(found)
        self.pair(len(found.ages))
        eta = size.size(found)
        step = eta / self.sigma * (self.inverse() @ self.gradient)
        self.theta[:] = self.mean - step
        return Move(eta, rejects)

    def ratio(self, found: Finding) -> float:
        """The curvature that units met on their way from their anchors, over the one expected."""
        B, met, expected = np.linalg.inv(self.inverse()), 0.0, 0.0
        for renewal in found.renewals:
            known, fresh = renewal.known, renewal.fresh
            if known is None:
                continue
            way = fresh.point - known.point
            on_support = way if known.support is None else way[known.support]
            beyond = fresh.loss - known.loss - float(known.values @ on_support)
            met += 2 * renewal.share * beyond
            along = float(way @ B @ way - way @ self.pulled(way))
            expected += max(along, 0.0) / len(found.ages)
        return met / expected if expected else 0.0

    def reject(self) -> None:
        self.rejections += 1
        if self.kappa > CLEARED_ABOVE * self.sigma:
            self.pairs, self.gamma, self.base = [], self.first_gamma, None
            self.sigma = max(self.sigma, min(self.kappa, 100.0))
        else:
            self.sigma = self.kappa

    def absorb(self, found: Finding) -> None:
        self.rejections = 0
        decayed = 1 + (self.sigma - 1) * DECAY ** len(found.renewals)
        self.sigma = self.kappa if self.kappa > self.sigma else max(1.0, decayed)
        n_before = len(self.heard)
        self.heard |= {renewal.unit for renewal in found.renewals}
        self.renewed |= {renewal.unit for renewal in found.renewals}
        self.mean *= n_before / len(self.heard)
        for renewal in found.renewals:
            self.mean += moved(renewal) / len(self.heard)
        self.gradient = found.gradient + self.pulled(self.mean)
        if n_before != len(self.heard):
            self.base = None

    def pair(self, n_units: int) -> None:
        """Learn from what has changed since the last pair, once enough units were renewed."""
        if self.base is not None:
            if len(self.renewed) < RENEWED_SHARE * n_units:
                return
            s, y = self.mean - self.base[0], self.gradient - self.base[1]
            if s @ y > 1e-8 * (s @ s):
                self.pairs.append((s, y))
                self.gamma = float(s @ y) / float(y @ (y / self.metric))
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

    def forget_units(self) -> None:
        self.pairs, self.gamma, self.base, self.sigma = [], self.first_gamma, None, 1.0
        self.heard, self.renewed, self.rejections = set(), set(), 0
        self.mean = np.zeros(self.n_parameters)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        pairs = np.array(self.pairs).reshape(-1, 2, self.n_parameters)
        base = np.array([] if self.base is None else self.base)
        return {
            **{"theta": self.theta, "mean": self.mean, "gradient": self.gradient},
            **{"pairs": pairs, "base": base},
            "scalars": np.array([self.gamma, self.sigma, self.rejections]),
            **{"heard": np.array(sorted(self.heard)), "renewed": np.array(sorted(self.renewed))},
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        self.theta[:], self.mean = state["theta"], state["mean"].copy()
        self.gradient = state["gradient"].copy()
        self.pairs = [(s.copy(), y.copy()) for s, y in state["pairs"]]
        base = state["base"]
        self.base = (base[0].copy(), base[1].copy()) if len(base) else None
        self.gamma, self.sigma = (float(x) for x in state["scalars"][:2])
        self.rejections = int(state["scalars"][2])
        self.heard, self.renewed = (
            {int(unit) for unit in state[key]} for key in ("heard", "renewed")
        )


def moved(renewal: Renewal) -> FloatArray:
    """Return how far a unit's anchor moves; from 0 if it had none."""
    if renewal.known is None:
        return renewal.fresh.point
    return renewal.fresh.point - renewal.known.point
