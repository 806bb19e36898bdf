"""The arithmetic of a round, from arrivals to the step."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.models.least_squares import LeastSquares
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.gradient_descent import GradientDescent
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.rows import CsrRows
from erasurehead_master.run.descent import Descent

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
    descent = Descent(method, Constant(eta=0.1), estimate, training_rows=2)

    def play(round_: int, values: float) -> str | None:
        descent.begin()
        for slot in range(2):
            descent.take(CodedVector(slot, None, np.full(COLUMNS, values + slot), values), 1.0)
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
