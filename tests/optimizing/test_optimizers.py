"""Optimisers on quadratics with known answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from erasurehead.errors import DataError
from erasurehead.optimizing import optimizers
from erasurehead.optimizing.optimizers import OPTIMIZERS, Optimizer
from erasurehead.optimizing.steps import build_schedule

Vector = npt.NDArray[np.float64]


class Quadratic:
    """f(x) = (1/2) (x - b)^T H (x - b), eigenvalues from 1 to 10: condition number 10."""

    def __init__(self, n: int = 30) -> None:
        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
        self.H = (basis * np.linspace(1, 10, n)) @ basis.T
        self.b = rng.normal(size=n)
        self.b /= np.linalg.norm(self.b)

    def value(self, x: Vector) -> float:
        return float(0.5 * (x - self.b) @ self.H @ (x - self.b))

    def gradient(self, x: Vector) -> Vector:
        return self.H @ (x - self.b)


def run(name: str, rounds: list[int], l2: float = 0.0, step: str = "0.1") -> list[float]:
    problem = Quadratic()
    optimizer = OPTIMIZERS.build(name, len(problem.b), build_schedule(step), l2)
    found = []
    for t in range(1, rounds[-1] + 1):
        optimizer.step(problem.gradient(optimizer.query), t)
        if t in rounds:
            found.append(problem.value(optimizer.model))
    return found


def test_nesterov_is_truly_accelerated() -> None:
    """Orders of magnitude at 50, 150, 300 rounds; taking g at beta only reaches 1e-5 ... 1e-7."""
    at_50, at_150, at_300 = run("nesterov", [50, 150, 300])
    assert 1e-10 < at_50 < 1e-6
    assert at_150 < 1e-11
    assert at_300 < 1e-18


def test_nesterov_beats_its_bound() -> None:
    """f - f* <= 2 L ||x_0 - x*||^2 / (t+1)^2, here with L = 10 and ||x*|| = 1."""
    rounds = list(range(1, 40))
    for t, gap in zip(rounds, run("nesterov", rounds), strict=True):
        assert gap <= 20 / (t + 1) ** 2


def test_nesterov_equals_the_written_recursion() -> None:
    problem = Quadratic()
    optimizer = OPTIMIZERS.build("nesterov", 30, build_schedule("exponential:eta=.1,decay=.9"), 0.3)
    beta = u = np.zeros(30)
    for i in range(20):
        w, eta = 2 / (i + 2), 0.1 * 0.9**i
        y = (1 - w) * beta + w * u
        np.testing.assert_allclose(optimizer.query, y, rtol=1e-12, atol=1e-14)
        new = y - eta * (problem.gradient(y) + 0.3 * y)
        beta, u = new, beta + (new - beta) / w
        assert optimizer.step(problem.gradient(optimizer.query), i + 1) == pytest.approx(eta)
        np.testing.assert_allclose(optimizer.model, beta, rtol=1e-12, atol=1e-14)


def test_gradient_descent_contracts_at_its_rate() -> None:
    """f - f* falls at least by (1 - mu/L)^2 a round with step 1/L."""
    first, last = run("gradient-descent", [1, 100])
    assert last <= first * 0.9 ** (2 * 99) * (1 + 1e-9)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_the_penalty_is_part_of_the_objective(name: str) -> None:
    """The fixed point solves H (x - b) + l2 x = 0."""
    problem = Quadratic()
    optimizer = OPTIMIZERS.build(name, 30, build_schedule("0.05"), 2.0)
    for t in range(1, 1001):
        optimizer.step(problem.gradient(optimizer.query), t)
    exact = np.linalg.solve(problem.H + 2.0 * np.eye(30), problem.H @ problem.b)
    np.testing.assert_allclose(optimizer.model, exact, rtol=1e-9)


def after(optimizer: Optimizer, rounds: range) -> Vector:
    problem = Quadratic()
    for t in rounds:
        optimizer.step(problem.gradient(optimizer.query), t)
    return optimizer.model.copy()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_resumed_run_ends_bit_for_bit_where_the_other_did(name: str) -> None:
    context = (30, build_schedule("exponential:eta=0.1,decay=0.99"), 0.1)
    whole = after(OPTIMIZERS.build(name, *context), range(1, 31))
    before, resumed = (OPTIMIZERS.build(name, *context) for _ in range(2))
    after(before, range(1, 18))
    resumed.load_state({k: v.copy() for k, v in before.state().items()})
    assert resumed.query.tobytes() == before.query.tobytes()
    assert after(resumed, range(18, 31)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_blocks_do_not_change_a_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = (30, build_schedule("0.1"), 0.1)
    whole = after(OPTIMIZERS.build(name, *context), range(1, 10))
    monkeypatch.setattr(optimizers, "BLOCK_COLUMNS", 7)
    assert after(OPTIMIZERS.build(name, *context), range(1, 10)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_the_gradient_is_only_read_and_arrays_stay_in_place(name: str) -> None:
    optimizer = OPTIMIZERS.build(name, 3, build_schedule("1"), 0.5)
    query, model = optimizer.query, optimizer.model
    gradient = np.array([1.0, 2.0, 3.0])
    gradient.flags.writeable = False
    optimizer.step(gradient, 1)
    assert optimizer.query is query
    assert optimizer.model is model


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_foreign_state_is_refused(name: str) -> None:
    optimizer = OPTIMIZERS.build(name, 3, build_schedule("1"), 0.0)
    with pytest.raises(DataError, match="expected shape"):
        optimizer.load_state({})
    larger = OPTIMIZERS.build(name, 4, build_schedule("1"), 0.0)
    with pytest.raises(DataError, match=r"shape \(4,\), expected shape \(3,\)"):
        optimizer.load_state(larger.state())


def test_nesterov_needs_its_step_count() -> None:
    optimizer = OPTIMIZERS.build("nesterov", 3, build_schedule("1"), 0.0)
    with pytest.raises(DataError, match="steps"):
        optimizer.load_state({"beta": np.zeros(3), "u": np.zeros(3)})
