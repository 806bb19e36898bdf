"""How many vectors of the model's size a run with anchored L-BFGS holds."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
import scipy.linalg.lapack  # noqa: F401 (modules that a run loads are none of its vectors)

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.optimizing.anchored_lbfgs import AnchoredLbfgs
from erasurehead.optimizing.anchors import RECENT_ROUNDS
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.pairs import Digits
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead_master.run.descent import Descent

N = 30_000
UNITS = 4


class Ones:
    """The curvature of |x|^2 / 2."""

    bounded = True
    measured = True

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        return 1.0

    def by_parameter(self) -> FloatArray:
        return np.ones(N)


def play(descent: Descent, round_: int, units: list[int]) -> None:
    """Let some units send the gradients of |x - u|^2 / 2, of a row each."""
    descent.begin()
    theta = descent.slice(None)
    for unit in units:
        way = theta - np.cos(np.arange(N) * (unit + 1.0))
        loss = float(0.5 * way @ way)
        descent.take(CodedVector(unit, None, way, loss), 1.0)
    weights = np.isin(np.arange(UNITS), units).astype(float)
    error = float(np.mean((weights - 1) ** 2))
    descent.step(Decoding(1.0, weights, error, 1.0, UNITS - len(units), {}), round_)


@pytest.mark.parametrize(("digits", "pairs"), [("f8", 2), ("f8", 5), ("f4", 5)])
def test_a_run_holds_as_many_vectors_as_is_said(digits: Digits, pairs: int) -> None:
    """`Descent`: 11 of the method; of pairs 2 m + 7, in single precision half as much; of each unit
    its gradient, its anchor and its curvature in the metric, which is as precise as pairs; the
    models sent in three rounds; three of the estimate."""
    rng = np.random.default_rng(0)
    gc.collect()
    tracemalloc.start()
    try:
        curvature = UnitCurvature(np.arange(N), np.full(N, 1.0 / UNITS))
        kind = RoundKind(False, UNITS, 2.0, lambda: [curvature] * UNITS)
        problem = Problem(np.zeros(N), L2(0.1), Ones(), kind)
        method = AnchoredLbfgs(problem, pairs=pairs, digits=digits)
        code = CODES.build("uncoded", UNITS, None, rng)
        descent = Descent(method, Constant(eta=1.0), ESTIMATES.build("sag", code, N, False), UNITS)
        del problem
        for round_ in range(1, 20):
            units = list(range(UNITS)) if round_ == 1 else rng.permutation(UNITS)[:2].tolist()
            play(descent, round_, units)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    precise = 1.0 if digits == "f8" else 0.5
    of_pairs = (2 * pairs + 7) * precise
    of_curvature = 2 + UNITS * precise  # besides that in the metric one for all, and its columns
    said = 11 + of_pairs + of_curvature + 2 * UNITS + RECENT_ROUNDS + 3
    found = held / (8 * N)
    assert said - 4 < found <= said
