"""L-BFGS on the mean anchor and the sum of remembered gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead import blas
from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Method, Move, Problem, RoundKind, Unit
from erasurehead.optimizing.finding import Ages, Finding, UnitGradient
from erasurehead.optimizing.guard import CurvatureGuard, Verdict
from erasurehead.optimizing.metric import POWER
from erasurehead.optimizing.newton_steps import FIRST_STEP, PAIRS, NewtonSteps
from erasurehead.optimizing.pairs import LARGE, Digits
from erasurehead.optimizing.steps import StepSize

RENEWED_SHARE = 0.2
"""Share of the units that must be renewed from one pair to the next."""

AGE = 2.5
"""How many times the rounds in which all units would be heard once, if none were heard twice."""

ROUNDING = 1e-15
"""Of losses, relative; less than that between two of them says nothing of a curvature."""


class AnchoredLbfgs(Method):
    """theta <- a - H g / sigma: the minimum of the model that all units share.

    A remembered gradient belongs to its *anchor*, the point at which it was taken. a is the mean
    anchor of the units, g the sum of their remembered gradients and of the penalty's at a. If all
    units curved alike, a - H g would minimise the sum of their own quadratic models, and the
    changes of a and g from one time to another would be a pair of the objective, whichever units
    arrived. When all units arrive in every round, this is L-BFGS.

    H is that of the last pairs (`CurvaturePairs`), from gamma D^-1. A *guard* compares what an
    arrival says of the curvature on its unit's own way from the anchor, twice the Bregman distance
    f_u(theta) - f_u(a_u) - h_u·(theta - a_u), with what the pairs say. Where it is more, steps are
    divided by sigma; where it is far more, the round is rejected, and its results with it.

    Units of a high age are waited for: nothing is known of a curvature along columns that only they
    have. A unit that is due and cannot be heard is taken out of a and g, with all pairs, until it
    is heard again. No step is many times longer than the last (`StepCap`).

    Memory: 8 vectors of all parameters besides those of the pairs, and one for each round from
    which something is remembered.

    Parameters
    ----------
    problem: what is minimised; the metric is its curvature by parameter, to a power.
    pairs: how many are kept.
    power: 0 is no metric, 1 the diagonal of the Hessian itself.
    age: a unit whose remembered gradient is this many rounds old is waited for; None: 2.5 times as
        many rounds as it takes until as many units were heard as there are.
    first_step: how many times as long as the inverse of the largest curvature says the first step
        is; it may be ten times too long or too short.
    digits: in which pairs are kept; None: single precision for large models.

    Attributes
    ----------
    steps: metric, pairs and cap.
    guard: what divides steps.

    Raises
    ------
    UsageError: a value out of range.
    """

    unit: ClassVar[Unit] = "1"
    follows_units: ClassVar[bool] = True

    def __init__(
        self,
        problem: Problem,
        *,
        pairs: int = PAIRS,
        power: float = POWER,
        age: int | None = None,
        first_step: float = FIRST_STEP,
        digits: Digits | None = None,
    ) -> None:
        super().__init__(problem)
        if age is not None and age < 1:
            raise UsageError(f"age={age} of an optimizer must be at least 1 round")
        self._age = age
        digits = digits or ("f4" if self.n_parameters >= LARGE else "f8")
        self.steps = NewtonSteps(problem, power, first_step, pairs, digits)
        self.guard = CurvatureGuard()
        self._theta, self._mean = problem.start.copy(), problem.start.copy()
        # Gradients and ways in metric coordinates.
        self._gradient, self._scaled = (np.zeros(self.n_parameters) for _ in range(2))
        # Since them, the next pair is counted.
        self._base_mean, self._base_gradient = (np.zeros(self.n_parameters) for _ in range(2))
        self._has_base = False
        self._heard: frozenset[int] = frozenset()
        """Units of which the mean and the gradient are."""
        self._renewed: set[int] = set()
        """Units that arrived since the base."""

    @property
    def query(self) -> FloatArray:
        """Theta."""
        return self._theta

    @property
    def model(self) -> FloatArray:
        """Theta."""
        return self._theta

    @property
    def predicted_decrease(self) -> float | None:
        """By the pairs, from the mean anchor, once all units are in it."""
        everybody = len(self._heard) == self.rounds.n_units
        return self.steps.decrease if everybody else None

    @property
    def oldest(self) -> int:
        """The age at which a unit is waited for."""
        if self._age is not None:
            return self._age
        return max(1, round(AGE * self.rounds.n_units / max(self.rounds.units_a_round, 1.0)))

    def overdue(self, ages: Ages) -> Collection[int]:
        """Return the units that were never heard, or that are old."""
        return [unit for unit, age in enumerate(ages) if age is None or age >= self.oldest]

    def step(self, found: Finding, size: StepSize) -> Move:
        """Absorb what has arrived, or reject it, and move theta."""
        kappa = self._curvature_met(found)
        verdict = self.guard.judge(kappa, len(found.renewals))
        if verdict is Verdict.TRUSTED:
            self._absorb(found)
        elif verdict is Verdict.BLAMED:
            self._forget_pairs()
        eta = size.size(found)
        if self._heard:
            self._learn()
            self.steps.go(self._mean, self._gradient, eta / self.guard.sigma, self._theta)
        return Move(eta, verdict is not Verdict.TRUSTED, self._lost(found))

    def forget_units(self, rounds: RoundKind) -> None:
        """Go on from theta with the metric alone."""
        super().forget_units(rounds)
        self._forget_pairs()
        self.guard.reset()
        self._heard = frozenset()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; the method's own arrays."""
        state = {
            "theta": self._theta,
            "mean": self._mean,
            "gradient": self._gradient,
            "heard": np.array(sorted(self._heard), dtype=np.int64),
            "renewed": np.array(sorted(self._renewed), dtype=np.int64),
            "guard": self.guard.state(),
        }
        if self._has_base:
            state |= {"base_mean": self._base_mean, "base_gradient": self._base_gradient}
        return state | self.steps.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from `state`."""
        self._theta[:] = self._vector(state, "theta")
        self._mean[:] = self._vector(state, "mean")
        self._gradient[:] = self._vector(state, "gradient")
        self._has_base = "base_mean" in state
        if self._has_base:
            self._base_mean[:] = self._vector(state, "base_mean")
            self._base_gradient[:] = self._vector(state, "base_gradient")
        self._heard = frozenset(int(unit) for unit in state["heard"])
        self._renewed = {int(unit) for unit in state["renewed"]}
        self.guard.load_state(state["guard"])
        self.steps.load_state(state)

    def _curvature_met(self, found: Finding) -> float:
        """Return the curvature met on units' ways, over that expected; 0 if nothing is known."""
        met = expected = 0.0
        ways: dict[int, tuple[FloatArray, float]] = {}
        for renewal in found.renewals:
            known, fresh = renewal.known, renewal.fresh
            if known is None:
                continue
            if id(known.point) not in ways:
                way = fresh.point - known.point
                np.multiply(way, self.steps.metric.root, out=self._scaled)
                along = self.steps.pairs.curvature_along(self._scaled) - self.penalty.along(way)
                ways[id(known.point)] = way, max(along, 0.0)
            way, along = ways[id(known.point)]
            met += 2.0 * renewal.share * _beyond(known, fresh, way)
            expected += along / self.rounds.n_units
        return met / expected if expected > 0.0 else 0.0

    def _absorb(self, found: Finding) -> None:
        """Renew the mean anchor and the gradient."""
        arrived = {renewal.unit: renewal.fresh.point for renewal in found.renewals}
        anchors = {u: point for u, point in enumerate(found.anchors) if point is not None}
        heard = frozenset(anchors) | frozenset(arrived)
        if heard == self._heard and len(arrived) < len(heard):
            self._move_mean(found)
        else:
            self._take_mean(list((anchors | arrived).values()))
        if heard != self._heard:
            if not heard > self._heard:
                self._forget_pairs()
            self._heard, self._has_base = heard, False
        self._renewed |= arrived.keys()
        self.steps.scale_gradient(found.gradient, self._mean, self._gradient)

    def _move_mean(self, found: Finding) -> None:
        """Move the mean anchor by what the anchors of the arrivals move."""
        known = [renewal.known.point for renewal in found.renewals if renewal.known is not None]
        now = found.renewals[0].fresh.point
        for here, scratch in self._blocks():
            for before, share in _shares(known, len(self._heard)):
                np.subtract(now[here], before[here], out=scratch)
                scratch *= share
                self._mean[here] += scratch

    def _take_mean(self, anchors: Sequence[FloatArray]) -> None:
        """Make the mean anchor that of these."""
        for here, scratch in self._blocks():
            part = self._mean[here]
            part[:] = 0.0
            for anchor, share in _shares(anchors, len(anchors)):
                np.multiply(anchor[here], share, out=scratch)
                part += scratch

    def _learn(self) -> None:
        """Make a pair of what has changed since the last, once enough units were renewed."""
        if self._has_base:
            if len(self._renewed) < RENEWED_SHARE * self.rounds.n_units:
                return
            np.subtract(self._mean, self._base_mean, out=self._scaled)
            self._scaled *= self.steps.metric.root
            np.subtract(self._gradient, self._base_gradient, out=self._base_gradient)
            self.steps.pairs.learn(self._scaled, self._base_gradient)
        self._base_mean[:], self._base_gradient[:] = self._mean, self._gradient
        self._has_base, self._renewed = True, set()

    def _forget_pairs(self) -> None:
        self.steps.pairs.clear()
        self._has_base = False

    def _lost(self, found: Finding) -> Collection[int]:
        """Return the units that were due and have not come: a round closes without them only if
        nobody can send them."""
        arrived = {renewal.unit for renewal in found.renewals}
        ages = enumerate(found.ages)
        return [u for u, age in ages if age and age >= self.oldest and u not in arrived]


def _shares(anchors: Sequence[FloatArray], n_units: int) -> list[tuple[FloatArray, float]]:
    """Return each anchor once, with the share of all units that have it."""
    once = {id(anchor): anchor for anchor in anchors}
    counts = Counter(map(id, anchors))
    return [(once[key], count / n_units) for key, count in counts.items()]


def _beyond(known: UnitGradient, fresh: UnitGradient, way: FloatArray) -> float:
    """Return how far a unit's loss lies above its tangent, 0 for rounding."""
    on_support = way if known.support is None else way[known.support]
    beyond = fresh.loss - known.loss - blas.dot(known.values, on_support)
    return beyond if abs(beyond) > ROUNDING * (abs(fresh.loss) + abs(known.loss)) else 0.0
