"""Methods on quadratics with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.optimizing import METHODS, base
from erasurehead.optimizing.base import Method, Problem
from erasurehead.optimizing.steps import build_step_size
from tests.support.quadratic import Quadratic, described

METHODS_ALONE = [name for name in METHODS if not METHODS.factory(name).follows_units]  # type: ignore[attr-defined]
"""Methods that need not be told of units."""

PLAIN = [name for name in METHODS_ALONE if METHODS.factory(name).unit == "1/curvature"]  # type: ignore[attr-defined]
"""Methods whose step is along the gradient as it is."""


SMALLER = {"adam": "exponential:eta=0.1,decay=0.99"}
"""Steps of methods that come to rest only as their steps become smaller."""


def fitting(name: str, plain: str) -> str:
    """Return a step for a plain method, or the whole step of another."""
    return plain if name in PLAIN else SMALLER.get(name, "1")


def run(name: str, rounds: list[int], l2: float = 0.0, step: str = "0.1") -> list[float]:
    quadratic, size = Quadratic(), build_step_size(step)
    method = METHODS.build(name, described(quadratic, l2))
    found = []
    for t in range(1, rounds[-1] + 1):
        quadratic.step(method, size, t)
        if t in rounds:
            found.append(quadratic.value(method.model))
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
    quadratic, size = Quadratic(), build_step_size("exponential:eta=.1,decay=.9")
    method = METHODS.build("nesterov", described(quadratic, 0.3))
    beta = u = np.zeros(30)
    for i in range(20):
        w, eta = 2 / (i + 2), 0.1 * 0.9**i
        y = (1 - w) * beta + w * u
        np.testing.assert_allclose(method.query, y, rtol=1e-12, atol=1e-14)
        new = y - eta * (quadratic.gradient(y) + 0.3 * y)
        beta, u = new, beta + (new - beta) / w
        assert quadratic.step(method, size, i + 1).size == pytest.approx(eta)
        np.testing.assert_allclose(method.model, beta, rtol=1e-12, atol=1e-14)


def test_gradient_descent_contracts_at_its_rate() -> None:
    """f - f* falls at least by (1 - mu/L)^2 a round with step 1/L."""
    first, last = run("gradient-descent", [1, 100])
    assert last <= first * 0.9 ** (2 * 99) * (1 + 1e-9)


@pytest.mark.parametrize("name", METHODS_ALONE)
def test_the_penalty_is_part_of_the_objective(name: str) -> None:
    """The fixed point solves H (x - b) + l2 x = 0."""
    quadratic, size = Quadratic(), build_step_size(fitting(name, "0.05"))
    method = METHODS.build(name, described(quadratic, 2.0))
    for t in range(1, 1001):
        quadratic.step(method, size, t)
    exact = np.linalg.solve(quadratic.H + 2.0 * np.eye(30), quadratic.H @ quadratic.b)
    np.testing.assert_allclose(method.model, exact, rtol=1e-9)


@pytest.mark.parametrize("name", PLAIN)
def test_its_first_step_is_along_the_gradient(name: str) -> None:
    quadratic = Quadratic()
    method = METHODS.build(name, described(quadratic))
    quadratic.step(method, build_step_size("0.1"), 1)
    np.testing.assert_allclose(method.model, -0.1 * quadratic.gradient(np.zeros(30)), rtol=1e-12)


@pytest.mark.parametrize("name", METHODS_ALONE)
def test_it_begins_at_the_start_and_leaves_it_alone(name: str) -> None:
    quadratic, told = Quadratic(), described(Quadratic())
    start = np.linspace(-1.0, 1.0, 30)
    start.flags.writeable = False
    method = METHODS.build(name, Problem(start, told.penalty, told.curvature))
    assert method.query.tobytes() == method.model.tobytes() == start.tobytes()
    quadratic.step(method, build_step_size("0.1"), 1)
    assert quadratic.value(method.model) < quadratic.value(start)


def after(method: Method, step: str, rounds: range) -> FloatArray:
    quadratic, size = Quadratic(), build_step_size(step)
    for t in rounds:
        quadratic.step(method, size, t)
    return method.model.copy()


@pytest.mark.parametrize("name", METHODS_ALONE)
def test_a_resumed_run_ends_bit_for_bit_where_the_other_did(name: str) -> None:
    problem, step = described(Quadratic(), 0.1), "exponential:eta=0.1,decay=0.99"
    whole = after(METHODS.build(name, problem), step, range(1, 31))
    before, resumed = (METHODS.build(name, problem) for _ in range(2))
    after(before, step, range(1, 18))
    resumed.load_state({k: v.copy() for k, v in before.state().items()})
    assert resumed.query.tobytes() == before.query.tobytes()
    assert after(resumed, step, range(18, 31)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", METHODS_ALONE)
def test_blocks_do_not_change_a_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = described(Quadratic(), 0.1)
    whole = after(METHODS.build(name, problem), "0.1", range(1, 10))
    monkeypatch.setattr(base, "BLOCK_PARAMETERS", 7)
    assert after(METHODS.build(name, problem), "0.1", range(1, 10)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", METHODS_ALONE)
def test_the_gradient_is_only_read_and_arrays_stay_in_place(name: str) -> None:
    """`Quadratic.step` hands over a gradient that cannot be written to."""
    quadratic = Quadratic(3)
    method = METHODS.build(name, described(quadratic, 0.5))
    query, model = method.query, method.model
    quadratic.step(method, build_step_size("1"), 1)
    assert method.query is query
    assert method.model is model


@pytest.mark.parametrize("name", METHODS_ALONE)
def test_a_foreign_state_is_refused(name: str) -> None:
    method = METHODS.build(name, described(Quadratic(3)))
    with pytest.raises(DataError, match="expected shape"):
        method.load_state({})
    larger = METHODS.build(name, described(Quadratic(4)))
    with pytest.raises(DataError, match=r"shape \(4,\), expected shape \(3,\)"):
        method.load_state(larger.state())


def test_nesterov_needs_its_step_count() -> None:
    method = METHODS.build("nesterov", described(Quadratic(3)))
    with pytest.raises(DataError, match="steps"):
        method.load_state({"beta": np.zeros(3), "u": np.zeros(3)})
