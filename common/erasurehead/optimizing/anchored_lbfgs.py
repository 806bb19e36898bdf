"""L-BFGS on the mean anchor and the sum of remembered gradients."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, Vector
from erasurehead.errors import UsageError
from erasurehead.optimizing.arriving import Arriving
from erasurehead.optimizing.base import Move, Problem, RoundKind, Unit
from erasurehead.optimizing.finding import Ages, Finding, Renewal, UnitGradient
from erasurehead.optimizing.guard import CurvatureGuard, Verdict
from erasurehead.optimizing.mean_anchor import MeanMove
from erasurehead.optimizing.metric import POWER
from erasurehead.optimizing.newton_steps import FIRST_STEP, PAIRS, NewtonSteps
from erasurehead.optimizing.one_point import OnePoint
from erasurehead.optimizing.pairs import LARGE, Digits
from erasurehead.optimizing.retreat import Retreat
from erasurehead.optimizing.steps import StepSize
from erasurehead.optimizing.unit_curvature import AnchorSpread
from erasurehead.optimizing.ways import Ways
from erasurehead.parts import STRETCH, pieces, stretches

RENEWED_SHARE = 0.2
"""Share of the units that must be renewed from one pair to the next."""

AGE = 2.5
"""How many times the rounds in which all units would be heard once, if none were heard twice."""

FIRST_SHARE = 0.25
"""Of the units, a round must renew more than this for the first round to do without the others."""

GROWTH = 2.0
"""Of steps; nobody is at hand who says how the loss is where none was heard."""

ROUNDING = 1e-15
"""Of losses, relative; less than that between two of them says nothing of a curvature."""


class AnchoredLbfgs(OnePoint):
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

    Units do not curve alike: some columns are in few units' rows. Where it is known how each unit
    curves on its diagonal, g is carried from the anchors to their mean by that (`AnchorSpread`).
    What is left of the difference can still lead off between two arrivals of a unit that is slow:
    so units of a high age are waited for, and a run whose loss rises from one cycle of the units to
    the next makes shorter steps, or goes back (`Retreat`). A unit that is due and cannot be heard
    is taken out of a and g, with all pairs, until it is heard again. No step is many times longer
    than the last (`StepCap`).

    Of a step there is no more between the last result and the next point than that needs: how far
    the mean anchor moves and what the gradient changes by, which is the pair. Both themselves are
    renewed when the point has been sent (`catch_up`).

    Memory: 11 vectors of all parameters besides those of the pairs, one for each round from which
    something is remembered and while a round is open one more as precise as pairs, and the
    curvature of each unit on the columns that its rows have, twice.

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

    predicts: ClassVar[bool] = True
    unit: ClassVar[Unit] = 1.0
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
        self.steps = NewtonSteps(problem, power, first_step, pairs, digits, GROWTH, self._in_parts)
        self.guard = CurvatureGuard()
        self._ways = Ways(self.steps, self.penalty, self._in_parts)
        self._mean = problem.start.copy()
        self._of_loss = np.zeros(self.n_parameters)
        """The mean loss's gradient of which `steps.gradient` was made, if that is known."""
        self._knows_loss = False
        self._behind: tuple[FloatArray, MeanMove] | None = None
        """By what mean anchor and gradient are to be renewed yet: the mean loss's gradient, and how
        the anchors have moved."""
        self._begin_with_units()
        self._retreat = Retreat(problem.start)
        self._losses: dict[int, float] = {}
        """What each unit adds to the mean loss, at its anchor."""
        self._heard: frozenset[int] = frozenset()
        """Units of whose anchors the mean is."""
        self._pair_begun = False
        """There is a mean anchor from which the next pair's step is counted."""
        self._renewed: set[int] = set()
        """Units that arrived since then."""
        self._of_step = np.zeros(self.steps.pairs.n_products)
        """Products with all pairs of what the mean anchor moved since then."""
        self._since: tuple[FloatArray, FloatArray] | None = None
        """What it and the gradient moved since then, if that is more than the last round."""

    @property
    def predicted_decrease(self) -> float | None:
        """By the pairs, from the mean anchor; of the units in it, as they stand for all."""
        return self.steps.decrease

    @property
    def oldest(self) -> int:
        """The age at which a unit is waited for."""
        if self._age is not None:
            return self._age
        return max(1, round(AGE * self.rounds.n_units / max(self.rounds.units_a_round, 1.0)))

    def overdue(self, ages: Ages, since_start: int | None) -> Collection[int]:
        """Return the units that are old, or were never heard; all, if the run goes back.

        At a run's start units that were never heard are as old as the run, if a round renews enough
        of them: the gradient of some leads downhill from there as well as that of all. A model that
        is near the minimum would be led away.
        """
        if self._retreat.returns:
            return range(len(ages))
        few = self.rounds.units_a_round <= FIRST_SHARE * self.rounds.n_units
        unheard = self.oldest if few or since_start is None else since_start
        aged = [unheard if age is None else age for age in ages]
        return [unit for unit, age in enumerate(aged) if age >= self.oldest]

    def look_ahead(self, unit: int, point: FloatArray, known: UnitGradient) -> None:
        """Find what is expected of a unit on its way from its anchor."""
        self._ways.look_along(point, known)

    def arrived(self, renewal: Renewal) -> None:
        """Find what the step must know of a unit's way, and add it to those of others."""
        if renewal.known is not None and renewal.unit in self._heard:
            self._arriving.take(renewal)

    def catch_up(self) -> None:
        """Renew the mean anchor and the gradient, if only their changes were needed so far."""
        if self._behind is not None:
            of_loss, move = self._behind
            self._behind = None
            self.steps.begin(multiplies=False)
            self._move_anchors(move)
            self._renew(of_loss, move)

    def step(self, found: Finding, size: StepSize) -> Move:
        """Absorb what has arrived, or reject it, and move theta."""
        eta = size.size(found)
        kappa = 0.0 if self._retreat.returns else self._curvature_met(found)
        self.steps.cap.amend(kappa)
        verdict = self.guard.judge(kappa, len(found.renewals))
        pair = None
        if verdict is Verdict.TRUSTED:
            pair = self._absorb(found)
        elif verdict is Verdict.BLAMED:
            self.steps.pairs.clear()
            self._begin_pair()
        self._forget_round()
        if self._heard:
            of_step, begins = self._of_step, not self._renewed
            along = self.steps.turn(pair, of_step, begins=begins)
            if begins:
                self._of_step = np.zeros(len(of_step))
            divisor = self.guard.sigma * self._retreat.divisor
            if self._behind is not None and not self.steps.learnt:
                self.catch_up()
            go = self.steps.go if self._behind is None else self.steps.go_from_newest
            go(self._mean, along, eta / divisor, self._theta)
        if verdict is Verdict.TRUSTED and self._goes_back(found):
            self._theta[:] = self._retreat.point
        return Move(eta, verdict is not Verdict.TRUSTED, self._lost(found))

    def forget_units(self, rounds: RoundKind) -> None:
        """Go on from theta with the metric alone."""
        super().forget_units(rounds)
        self.steps.pairs.clear()
        self.guard.reset()
        self._begin_with_units()
        self._retreat.begin_again()
        self._ways.forget()
        self._heard, self._pair_begun = frozenset(), False

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; the method's own arrays."""
        self.catch_up()
        state = super().state() | {
            "mean": self._mean,
            "heard": np.array(sorted(self._heard), dtype=np.int64),
            "renewed": np.array(sorted(self._renewed), dtype=np.int64),
            "pair_begun": np.array(self._pair_begun),
            "of_step": self._of_step,
            "guard": self.guard.state(),
            "losses": np.array([self._losses[unit] for unit in sorted(self._heard)]),
        }
        if self._spread is not None:
            state["spread"] = self._spread.state()
        if self._since is not None:
            state |= {"moved": self._since[0], "changed": self._since[1]}
        if self._knows_loss:
            state["of_loss"] = self._of_loss
        return state | self._retreat.state() | self.steps.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from `state`."""
        super().load_state(state)
        self._mean[:] = self._vector(state, "mean")
        self._vector(state, "gradient")
        self._vector(state, "best")
        self._retreat.load_state(state)
        self.steps.load_state(state)
        self._since = None
        if "moved" in state:
            moved, changed = (self._vector(state, key).copy() for key in ("moved", "changed"))
            self._since = moved, changed
        self._behind = None
        self.__dict__.pop("_stiffness", None)
        self._knows_loss = "of_loss" in state  # earlier versions kept none
        if self._knows_loss:
            self._of_loss[:] = self._vector(state, "of_loss")
        self._heard = frozenset(int(unit) for unit in state["heard"])
        losses = state["losses"].tolist()
        self._losses = dict(zip(sorted(self._heard), losses, strict=True))
        self._renewed = {int(unit) for unit in state["renewed"]}
        self._pair_begun = bool(state["pair_begun"])
        self._of_step = state["of_step"].copy()
        self.guard.load_state(state["guard"])
        if self._spread is not None:
            self._spread.load_state(self._vector(state, "spread"), self._heard)

    def _curvature_met(self, found: Finding) -> float:
        """Return the curvature met on units' ways, over that expected; 0 if nothing is known."""
        met = expected = 0.0
        for renewal in found.renewals:
            known, fresh = renewal.known, renewal.fresh
            if known is not None:
                way = self._ways.look_along(fresh.point, known)
                beyond = fresh.loss - known.loss - way.rise
                if abs(beyond) > ROUNDING * (abs(fresh.loss) + abs(known.loss)):
                    met += 2.0 * renewal.share * beyond
                expected += way.curvature / self.rounds.n_units
        return met / expected if expected > 0.0 else 0.0

    def _absorb(self, found: Finding) -> FloatArray | None:
        """Renew the mean anchor and the gradient.

        Returns
        -------
        What there is of a pair, of the changes since the last, if enough units were renewed.
        """
        move = MeanMove.of(found, self._heard)
        if move.others:
            if not move.heard > self._heard:
                self.steps.pairs.clear()
            self._heard, self._pair_begun = move.heard, False
            self._retreat.others()
        self._renewed |= {renewal.unit for renewal in found.renewals}
        enough = len(self._renewed) >= RENEWED_SHARE * self.rounds.n_units
        learns, waits = self._pair_begun and enough, self._pair_begun and not enough
        self.steps.begin(multiplies=True)
        pair: FloatArray | None
        if learns and self._since is None and not move.afresh and self._can_follow():
            pair = self._follow(found)
            self._behind = found.gradient, move
        else:
            self._move_anchors(move)
            pair = self._renew(found.gradient, move, learns=learns, waits=waits)
        for renewal in found.renewals if self._pair_begun else ():
            if renewal.known is not None:
                way = self._ways.look_along(renewal.fresh.point, renewal.known)
                self._of_step += way.products / len(self._heard)
        if not waits:
            self._begin_pair()
        return pair

    def _can_follow(self) -> bool:
        """Return whether the gradient's change is known without the gradient."""
        return self._knows_loss and self.penalty.quadratic

    def _follow(self, found: Finding) -> FloatArray:
        """Learn from how far the mean anchor moves and the gradient changes, without either.

        Both are known by themselves, and in the precision of pairs. The change of the gradient is
        what the mean loss's own changes by, what the spread falls by as anchors move, and what it
        and the penalty grow by as their mean does.
        """
        self._arriving.settle(found.renewals)
        pair = np.zeros((3, pieces(slice(0, self.n_parameters)).stop))
        of_loss, inverse_root = self._of_loss, self.steps.metric.inverse_root
        stiffness, share = self._stiffness, 1.0 / len(self._heard)

        def learn(part: slice) -> None:
            n = min(STRETCH, part.stop - part.start)
            scratch, slope = np.empty((3, n), stiffness.dtype), np.empty(n)
            for here in stretches(part):
                step, change, grown = scratch[:, : here.stop - here.start]
                change_of_loss = slope[: here.stop - here.start]
                self._arriving.put(here, step)
                step *= share
                np.subtract(found.gradient[here], of_loss[here], out=change_of_loss)
                change_of_loss *= inverse_root[here]
                change[:] = change_of_loss
                np.multiply(step, stiffness[here], out=grown)
                change += grown
                self._arriving.let_fall(here, change)
                pair[:, pieces(here)] = self.steps.follow(step, change, here)
                self.steps.multiply(here)

        with np.errstate(over="ignore", invalid="ignore"):
            self._in_parts(self.n_parameters, learn)
        return np.asarray(pair.sum(axis=1))

    @cached_property
    def _stiffness(self) -> Vector:
        """How D^-1/2 times spread and penalty's gradient grow, with D^1/2 times the mean anchor."""
        stiffness = np.zeros(self.n_parameters)
        self.penalty.add_curvature(stiffness)
        if self._spread is not None:
            stiffness += self._spread.stiffness
        stiffness *= self.steps.metric.inverse_root**2
        return stiffness.astype(self.steps.pairs.dtype)

    def _move_anchors(self, move: MeanMove) -> None:
        """Let the spread follow, and not only the mean."""
        if move.others:
            self.__dict__.pop("_stiffness", None)
        if self._spread is None:
            return
        if move.afresh:
            self._spread.take(move.anchors)
        for unit, point, anchor in move.ways:
            self._spread.move(unit, point, anchor)

    def _renew(
        self, of_loss: FloatArray, move: MeanMove, *, learns: bool = False, waits: bool = False
    ) -> FloatArray | None:
        """Renew the mean anchor, and the gradient by the mean loss's.

        Parameters
        ----------
        learns: there is a pair.
        waits: what there is of it is to wait for other rounds.
        """
        since = self._since if self._pair_begun else None
        if waits and since is None:
            self._since = np.empty(self.n_parameters), np.empty(self.n_parameters)
        pair = np.zeros((3, pieces(slice(0, self.n_parameters)).stop))

        def renew(part: slice) -> None:
            scratch = np.empty((3, min(STRETCH, part.stop - part.start)))
            for here in stretches(part):
                moved, changed = scratch[:2, : here.stop - here.start]
                move.go(self._mean, here, moved)
                besides = None
                if self._spread is not None:
                    besides = scratch[2, : here.stop - here.start]
                    self._spread.put(self._mean, here, besides)
                self.steps.renew(of_loss, self._mean, here, changed, besides)
                self._of_loss[here] = of_loss[here]
                if since is not None:
                    moved += since[0][here]
                    changed += since[1][here]
                if learns:
                    pair[:, pieces(here)] = self.steps.put(moved, changed, here)
                elif waits and self._since is not None:
                    self._since[0][here], self._since[1][here] = moved, changed
                self.steps.multiply(here)

        self._in_parts(self.n_parameters, renew)
        self._knows_loss = True
        return np.asarray(pair.sum(axis=1)) if learns else None

    def _goes_back(self, found: Finding) -> bool:
        """Return whether too much of the way down is lost; pairs are forgotten then."""
        arrived = {r.unit: r.share * r.fresh.loss for r in found.renewals}
        self._losses |= arrived
        if not self._retreat.look(self._loss_at_anchors, arrived, len(self._heard), self._mean):
            return False
        self.steps.pairs.clear()
        self.guard.reset()
        self._begin_pair()
        return True

    def _loss_at_anchors(self) -> float:
        """Return the objective with each unit's loss at its anchor, the penalty's at the mean.

        The loss of a finding is another one: it may stand for what the decoder makes of arrivals.
        """
        self.catch_up()
        losses = sum(self._losses[unit] for unit in sorted(self._heard))
        return self.rounds.n_units / len(self._heard) * losses + self.penalty.value(self._mean)

    def _forget_round(self) -> None:
        """Forget what was found while the round was open."""
        self._ways.forget()
        self._arriving.forget()

    def _begin_with_units(self) -> None:
        """Follow units of which nothing is remembered yet."""
        pairs, found = self.steps.pairs, self.rounds.curvatures
        self._spread = None
        if found is not None:
            inverse_root = self.steps.metric.inverse_root
            self._spread = AnchorSpread(found(), self.rounds.n_units, inverse_root, pairs.dtype)
        self._arriving = Arriving(
            self.n_parameters, self._spread, pairs.dtype, self._in_parts, self._scaled
        )
        self._behind, self._knows_loss = None, False
        self.__dict__.pop("_stiffness", None)

    def _scaled(self, renewal: Renewal) -> Vector:
        assert renewal.known is not None
        return self._ways.look_along(renewal.fresh.point, renewal.known).scaled

    def _begin_pair(self) -> None:
        """Count the next pair's step from the mean anchor as it is."""
        self._pair_begun, self._renewed, self._since = True, set(), None

    def _lost(self, found: Finding) -> Collection[int]:
        """Return the units that were due and have not come: a round closes without them only if
        nobody can send them."""
        arrived = {renewal.unit for renewal in found.renewals}
        ages = enumerate(found.ages)
        return [u for u, age in ages if age and age >= self.oldest and u not in arrived]
