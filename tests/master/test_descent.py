"""The arithmetic of a round, from arrivals to the step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.models.least_squares import LeastSquares
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.gradient_descent import GradientDescent
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant, StepSize
from erasurehead.rows import CsrRows
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import RunTimes

COLUMNS = 3
NO_ROWS = CsrRows(np.zeros(1, int), np.zeros(0, int), None, np.zeros(0), COLUMNS)


@pytest.mark.parametrize("cache", ["saga", "sag", "svrg:every=1"])
def test_a_round_that_diverges_is_not_remembered(cache: str) -> None:
    """1. A round is stepped. 2. In the next one all slots send values on their way to infinity. A
    checkpoint then has the model and the cache of the first, for a run with a smaller step."""
    code = CODES.build("uncoded", 2, None, np.random.default_rng(0))
    curvature = RowsCurvature(LeastSquares(COLUMNS), NO_ROWS)
    method = GradientDescent(Problem(np.zeros(COLUMNS), L2(0.0), curvature))
    estimate = ESTIMATES.build(cache, code, COLUMNS, False)
    descent = Descent(method, Constant(eta=0.1), estimate, total_weight=2)

    def play(round_: int, values: float) -> str | None:
        descent.begin()
        for slot in range(2):
            descent.estimate.take(
                CodedVector(slot, None, np.full(COLUMNS, values + slot), values), 1.0
            )
        return descent.step(Decoding(1.0, np.ones(2), 0.0, 1.0, 0, {}), round_).diverged

    assert play(1, 5.0) is None
    before = descent.state()
    diverged = play(2, 1e120)
    assert diverged is not None
    assert "round 2" in diverged
    after = descent.state()
    assert after.keys() == before.keys()
    for key in before.keys() - {"estimate/round"}:
        np.testing.assert_array_equal(after[key], before[key])


class Backtracking(StepSize):
    """Halves the step for good when the loss rises: what a size may be besides a schedule."""

    def __init__(self, eta: float) -> None:
        self.eta, self.last = eta, math.inf

    def size(self, found: Finding) -> float:
        if found.loss > self.last:
            self.eta /= 2
        self.last = found.loss
        return self.eta

    def state(self) -> dict[str, FloatArray]:
        return {"learnt": np.array([self.eta, self.last])}

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        self.eta, self.last = (float(x) for x in state["learnt"])


def test_a_step_size_may_learn_from_findings_and_keeps_that_in_checkpoints() -> None:
    """f(x) = x^2 / 2 from 1 with a first step of 3: it is halved until the loss falls."""
    code = CODES.build("uncoded", 1, None, np.random.default_rng(0))
    rows = CsrRows(np.zeros(1, int), np.zeros(0, int), None, np.zeros(0), 1)

    def fresh() -> Descent:
        curvature = RowsCurvature(LeastSquares(1), rows)
        method = GradientDescent(Problem(np.ones(1), L2(0.0), curvature))
        estimate = ESTIMATES.build("sum", code, 1, True)
        return Descent(method, Backtracking(3.0), estimate, total_weight=1)

    def play(descent: Descent, round_: int) -> float:
        descent.begin()
        x = descent.slice(None)
        descent.estimate.take(CodedVector(0, None, x, float(x[0] ** 2 / 2)), 1.0)
        return descent.step(Decoding(1.0, np.ones(1), 0.0, 1.0, 0, {}), round_).step_size

    whole = fresh()
    assert [play(whole, round_) for round_ in range(1, 6)] == [3.0, 1.5, 1.5, 1.5, 1.5]
    assert abs(whole.model[0]) < 0.2
    before, resumed = fresh(), fresh()
    for round_ in range(1, 3):
        play(before, round_)
    taken = Snapshot(2, "run", RunTimes(), before.state())
    resumed.load_state(taken.part, same_code=True)
    for round_ in range(3, 6):
        play(resumed, round_)
    assert resumed.model.tobytes() == whole.model.tobytes()
