"""Metrics, and the methods that follow a gradient in one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.diagonal import Diagonal
from erasurehead.optimizing.metric import Metric
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.restarted_nesterov import RestartedNesterov
from erasurehead.optimizing.steps import Constant
from erasurehead.rows import CsrRows
from tests.support.quadratic import KnownCurvature, Quadratic, described

WHOLE = Constant(eta=1.0)


def of_hessian(hessian: FloatArray, l2: float = 0.0, **options: object) -> Problem:
    n = len(hessian)
    return Problem(np.zeros(n), L2(l2, **options), KnownCurvature(hessian))  # type: ignore[arg-type]


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 1.0])
def test_a_metric_is_a_power_of_the_diagonal_with_the_penalty(power: float) -> None:
    hessian = np.array([[4.0, 1.0], [1.0, 9.0]])
    metric = Metric.of(of_hessian(hessian, 0.5), power)
    D = np.array([4.5, 9.5]) ** power
    np.testing.assert_allclose(metric.root**2, D, rtol=1e-14)
    np.testing.assert_allclose(metric.inverse_root, D**-0.5, rtol=1e-14)
    scaled = (hessian + 0.5 * np.eye(2)) / np.sqrt(np.outer(D, D))
    assert metric.largest == pytest.approx(np.linalg.eigvalsh(scaled)[-1], rel=1e-12)


def test_no_entry_is_below_a_hundred_millionth_of_the_largest() -> None:
    """Columns of zeros, which have no curvature, among them."""
    metric = Metric.of(of_hessian(np.diag([4.0, 1e-30, 0.0])), 0.5)
    np.testing.assert_allclose(metric.root**2, [2.0, 2e-8, 2e-8], rtol=1e-14)
    assert metric.largest == pytest.approx(2.0)


def test_what_a_penalty_spares_has_its_own_curvature_alone() -> None:
    metric = Metric.of(of_hessian(np.diag([4.0, 4.0]), 5.0, spared=np.array([1])), 0.5)
    np.testing.assert_allclose(metric.root**2, [3.0, 2.0], rtol=1e-14)


def test_without_any_curvature_it_is_all_ones() -> None:
    rows = CsrRows(np.zeros(1, int), np.zeros(0, int), None, np.zeros(0), 3)
    metric = Metric.of(Problem(np.zeros(3), L2(0.0), RowsCurvature(Logistic(3), rows)), 0.5)
    assert metric.root.tolist() == metric.inverse_root.tolist() == [1.0, 1.0, 1.0]
    assert metric.largest == 1.0


def test_a_column_that_the_sample_lacks_counts() -> None:
    """The largest curvature is looked for on one row of two; the other has a far larger one."""
    rows = CsrRows(np.arange(3), np.array([0, 1]), np.array([1.0, 100.0]), np.zeros(2), 2)
    curvature = RowsCurvature(LeastSquares(2), rows, sample_nonzeros=1)
    metric = Metric.of(Problem(np.zeros(2), L2(0.0), curvature), 0.5)
    assert metric.largest == pytest.approx(5000.0**0.5)


class Unbounded(KnownCurvature):
    """A curvature that nobody knows a bound of."""

    bounded = False
    measured = False


@pytest.mark.parametrize("method", [Diagonal, RestartedNesterov])
def test_a_method_that_needs_a_bound_says_so(method: type[Diagonal | RestartedNesterov]) -> None:
    with pytest.raises(UsageError, match="has no bound, and the optimizer's steps are as long"):
        method(Problem(np.zeros(1), L2(0.0), Unbounded(np.eye(1))))


@pytest.mark.parametrize("power", [-0.1, 1.1, float("nan")])
def test_a_power_out_of_range_is_one_sentence(power: float) -> None:
    with pytest.raises(UsageError, match="metric must be from 0 to 1"):
        Diagonal(of_hessian(np.eye(2)), power=power)


def test_a_diagonal_step_is_the_gradient_in_the_metric() -> None:
    hessian, l2 = np.array([[4.0, 1.0], [1.0, 9.0]]), 0.5
    problem = of_hessian(hessian, l2)
    start = Problem(np.array([1.0, -2.0]), problem.penalty, problem.curvature)
    method = Diagonal(start)
    metric = Metric.of(problem, 0.5)
    quadratic = Quadratic(2)
    gradient = quadratic.gradient(start.start) + l2 * start.start
    quadratic.step(method, Constant(eta=0.7), 1)
    assert metric.largest is not None
    expected = start.start - 0.7 / metric.largest * gradient / metric.root**2
    np.testing.assert_allclose(method.model, expected, rtol=1e-12)


def test_a_diagonal_step_never_raises_a_quadratic() -> None:
    quadratic = Quadratic()
    method = Diagonal(described(quadratic))
    values = []
    for t in range(1, 100):
        quadratic.step(method, WHOLE, t)
        values.append(quadratic.value(method.model))
    assert all(later <= former for former, later in pairwise(values))


def restarted(hessian: FloatArray, best: FloatArray, rounds: int, power: float) -> list[float]:
    """Return the gaps of FISTA with restarts by the gradient, as written in the papers."""
    D = np.diag(hessian) ** power
    L = np.linalg.eigvalsh(hessian / np.sqrt(np.outer(D, D)))[-1]
    beta = y = np.zeros(len(best))
    t, gaps = 1.0, []
    for _ in range(rounds):
        g = hessian @ (y - best)
        new = y - g / (D * L)
        if g @ (new - beta) > 0:
            t = 1.0
        after = (1 + np.sqrt(1 + 4 * t * t)) / 2
        beta, y, t = new, new + (t - 1) / after * (new - beta), after
        gaps.append(float(0.5 * (beta - best) @ hessian @ (beta - best)))
    return gaps


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_restarted_nesterov_is_the_written_recursion(power: float) -> None:
    quadratic = Quadratic()
    scales = np.geomspace(0.1, 10.0, 30)
    quadratic.H *= np.outer(scales, scales)
    method = RestartedNesterov(described(quadratic), power=power)
    for t, gap in enumerate(restarted(quadratic.H, quadratic.b, 300, power), start=1):
        quadratic.step(method, WHOLE, t)
        assert quadratic.value(method.model) == pytest.approx(gap, rel=1e-6, abs=1e-20)


def test_the_metric_pays_where_columns_differ() -> None:
    quadratic = Quadratic()
    scales = np.geomspace(0.1, 10.0, 30)
    quadratic.H *= np.outer(scales, scales)
    last = [restarted(quadratic.H, quadratic.b, 200, power)[-1] for power in (0.0, 0.5)]
    assert last[1] < 1e-3 * last[0]
