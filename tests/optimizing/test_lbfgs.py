"""L-BFGS against textbooks and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.lbfgs import Lbfgs
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from tests.support.quadratic import KnownCurvature

WHOLE = Constant(eta=1.0)
INEXACT = 0.1


class LogisticRows:
    """Mean log loss of some rows of columns of different sizes, and a penalty."""

    def __init__(self, n_rows: int = 200, n_columns: int = 15, l2: float = 1e-3) -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(n_rows, n_columns)) * np.geomspace(0.3, 3.0, n_columns)
        self.y = np.sign(self.X @ rng.normal(size=n_columns) + rng.normal(size=n_rows))
        self.l2 = l2

    def loss(self, theta: FloatArray) -> float:
        return float(np.mean(np.logaddexp(0.0, -self.y * (self.X @ theta))))

    def value(self, theta: FloatArray) -> float:
        return self.loss(theta) + 0.5 * self.l2 * float(theta @ theta)

    def gradient(self, theta: FloatArray) -> FloatArray:
        pull = self.y * expit(-self.y * (self.X @ theta))
        return np.asarray(-self.X.T @ pull / len(self.y))

    @property
    def problem(self) -> Problem:
        hessian = KnownCurvature(0.25 * self.X.T @ self.X / len(self.y))
        return Problem(np.zeros(self.X.shape[1]), L2(self.l2), hessian)

    def play(self, method: Lbfgs, round_: int = 1, decode_error: float = 0.0) -> bool:
        """Let a round close; return whether the method took its step back."""
        theta = method.query
        found = Finding(round_, self.value(theta), self.gradient(theta), decode_error)
        return method.step(found, WHOLE).rejects


def two_loops(
    pairs: list[tuple[FloatArray, FloatArray]], first: FloatArray, gradient: FloatArray
) -> FloatArray:
    """H g from H_0 = diag(first)."""
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append((s @ q) / (s @ y))
        q -= alphas[-1] * y
    q *= first
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - (y @ q) / (s @ y)) * s
    return q


def test_its_iterates_are_those_of_the_textbook() -> None:
    """To 1e-9, and beyond the number of pairs that are kept. The first 14 steps all hold."""
    rows = LogisticRows()
    method = Lbfgs(rows.problem, pairs=5)
    D, gamma = method.steps.metric.root**2, method.steps.pairs.first_scale
    x, pairs = np.zeros(15), list[tuple[FloatArray, FloatArray]]()
    g = rows.gradient(x)
    for round_ in range(1, 15):
        np.testing.assert_allclose(method.query, x, rtol=1e-9, atol=1e-11)
        step = two_loops(pairs[-5:], gamma / D, g)
        new = x - step
        change = rows.gradient(new) + rows.l2 * new - g
        pairs.append((new - x, change))
        x, g = new, g + change
        s, y = pairs[-1]
        gamma = float((s @ y) / (y @ (y / D)))
        assert not rows.play(method, round_)
    assert rows.value(x) - minimum(rows) < 1e-4


def minimum(rows: LogisticRows) -> float:
    """Return scipy's, by its own L-BFGS."""

    def slope(theta: FloatArray) -> FloatArray:
        return rows.gradient(theta) + rows.l2 * theta

    options = {"ftol": 1e-16, "gtol": 1e-10, "maxiter": 1000}
    start = np.zeros(rows.X.shape[1])
    found = minimize(rows.value, start, jac=slope, method="L-BFGS-B", options=options)
    return float(found.fun)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("first_step", [0.01, 1.0, 100.0])
def test_it_finds_the_optimum_that_scipy_finds(power: float, first_step: float) -> None:
    rows = LogisticRows()
    method = Lbfgs(rows.problem, power=power, first_step=first_step)
    for round_ in range(1, 120):
        rows.play(method, round_)
    assert rows.value(method.model) == pytest.approx(minimum(rows), rel=1e-12)


def test_a_step_that_raises_the_loss_is_taken_back() -> None:
    """1. The first step is a thousand times too long. 2. The next points lie between it and the
    start. 3. Of the third, too, the loss is higher; then pairs are forgotten."""
    rows = LogisticRows()
    method = Lbfgs(rows.problem, first_step=1e3)
    rows.play(method)
    far = method.query.copy()
    at_start, slope = rows.value(np.zeros(15)), rows.gradient(np.zeros(15)) @ far
    loss = rows.value(far)
    assert loss > at_start
    assert rows.play(method)
    parabola = -slope / (2 * (loss - at_start - slope))
    np.testing.assert_allclose(method.query, np.clip(parabola, 0.1, 0.5) * far, rtol=1e-12)
    values = []
    for _ in range(60):
        rows.play(method)
        values.append(rows.value(method.model))
    assert values[-1] - minimum(rows) < 1e-9


def test_no_round_teaches_anything_that_erasures_have_left_inexact() -> None:
    """Its step is gamma_0 D^-1 g, the pairs stay, and the next exact round makes none."""
    rows = LogisticRows()
    method = Lbfgs(rows.problem)
    for round_ in range(1, 6):
        rows.play(method, round_)
    at, n_pairs = method.query.copy(), len(method.steps.pairs)
    assert n_pairs == 4
    assert not rows.play(method, 6, INEXACT)
    D, gamma = method.steps.metric.root**2, method.steps.pairs.first_scale
    gradient = rows.gradient(at) + rows.l2 * at
    np.testing.assert_allclose(method.query, at - gamma * gradient / D, rtol=1e-9, atol=1e-12)
    assert len(method.steps.pairs) == n_pairs
    rows.play(method, 7)
    assert len(method.steps.pairs) == n_pairs
    rows.play(method, 8)
    assert len(method.steps.pairs) == n_pairs + 1


def test_rounds_with_noise_alone_are_gradient_descent_in_the_metric() -> None:
    """It never diverges, whatever the noise."""
    rows, rng = LogisticRows(), np.random.default_rng(3)
    method = Lbfgs(rows.problem)
    for round_ in range(1, 100):
        theta = method.query
        noisy = rows.gradient(theta) * rng.uniform(0.0, 2.0, 15)
        method.step(Finding(round_, rows.value(theta) * rng.uniform(), noisy, INEXACT), WHOLE)
    assert rows.value(method.model) < rows.value(np.zeros(15))


class Unknown(KnownCurvature):
    """A curvature that nobody knows a bound of."""

    bounded = False
    measured = False


def test_without_a_bound_of_the_curvature_it_begins_carefully() -> None:
    rows = LogisticRows()
    told = rows.problem
    method = Lbfgs(Problem(told.start, told.penalty, Unknown(np.eye(15))))
    rows.play(method)
    assert np.abs(method.query).sum() <= 1.0
    for round_ in range(2, 150):
        rows.play(method, round_)
    assert rows.value(method.model) == pytest.approx(minimum(rows), rel=1e-10)


def test_at_the_minimum_it_stays_finite() -> None:
    rows = LogisticRows()
    method = Lbfgs(rows.problem)
    for round_ in range(1, 300):
        rows.play(method, round_)
        assert np.isfinite(method.query).all()
    assert rows.value(method.model) == pytest.approx(minimum(rows), rel=1e-13)


@pytest.mark.parametrize("resumes", [False, True])
def test_at_the_minimum_it_still_knows_that_it_is_there(resumes: bool) -> None:
    """Steps of rounding teach nothing, and must not push out what tells how far the minimum is.

    With two columns the minimum is found to the last bit in fewer rounds than a gap has to be small
    for. One of them is constant, as in data that were prepared from a table.
    """
    for seed in range(20):
        rows = LogisticRows(n_columns=2)
        rng = np.random.default_rng(seed)
        rows.X = np.column_stack([rng.normal(size=200), np.ones(200)])
        rows.y = np.sign(rows.X[:, 0] + 0.1 * rng.normal(size=200))
        method = Lbfgs(rows.problem)
        for round_ in range(1, 60):
            rows.play(method, round_)
            if resumes:
                held, method = method.state(), Lbfgs(rows.problem)
                method.load_state(held)
        assert method.predicted_decrease is not None
        assert method.predicted_decrease < 1e-20


@pytest.mark.parametrize("first_step", [1.0, 1e3])
def test_it_resumes_between_any_two_rounds_to_the_last_bit(first_step: float) -> None:
    """With steps that are taken back, and an inexact round, among them."""
    rows = LogisticRows()

    def fresh() -> Lbfgs:
        return Lbfgs(rows.problem, pairs=3, first_step=first_step)

    def play(method: Lbfgs, rounds: range) -> Lbfgs:
        for round_ in rounds:
            rows.play(method, round_, INEXACT if round_ == 7 else 0.0)
        return method

    whole = play(fresh(), range(1, 15))
    for at in range(1, 14):
        before, resumed = play(fresh(), range(1, at + 1)), fresh()
        resumed.load_state({key: value.copy() for key, value in before.state().items()})
        assert resumed.query.tobytes() == before.query.tobytes()
        assert play(resumed, range(at + 1, 15)).query.tobytes() == whole.query.tobytes()


def test_a_state_without_losses_is_refused() -> None:
    rows = LogisticRows()
    method = Lbfgs(rows.problem)
    state = {key: value for key, value in method.state().items() if key != "losses"}
    with pytest.raises(DataError, match="'losses' is missing"):
        method.load_state(state)
