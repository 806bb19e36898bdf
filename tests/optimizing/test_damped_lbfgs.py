"""Damped L-BFGS on functions that are not convex, against its formulas with dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from erasurehead.arrays import FloatArray
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import Method, Problem
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import build_step_size

START = np.array([0.2, -0.6, -0.5, -0.5, 1.9])


class Unbounded:
    """Of a function of which nothing is known."""

    bounded = False
    measured = False

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        raise AssertionError("nobody can say it")

    def by_parameter(self) -> FloatArray:
        raise AssertionError("nobody can say it")


def made(spec: str = "damped-lbfgs") -> Method:
    return METHODS.build(spec, Problem(START, L2(0.0), Unbounded()))


def ask(method: Method, round_: int) -> bool:
    """Let a method have its answer of a round; return whether it took its step back."""
    found = Finding(round_, rosen(method.query), rosen_der(method.query), 0.0)
    return method.step(found, build_step_size("1")).rejects


def dense(pairs: list[tuple[FloatArray, FloatArray]], gamma: float) -> FloatArray:
    """Return B by the recursion of BFGS."""
    B = np.eye(len(START)) / gamma
    for s, y in pairs:
        B = B - np.outer(B @ s, B @ s) / (s @ B @ s) + np.outer(y, y) / (s @ y)
    return B


@pytest.mark.parametrize("keep", [3, 10])
def test_steps_are_those_of_dense_matrices(keep: int) -> None:
    """As long as no step is too long or taken back, theta is x - B^-1 g with damped pairs."""
    method, damped, looked_at = made(f"damped-lbfgs:pairs={keep}"), 0, 0
    pairs: list[tuple[FloatArray, FloatArray]] = []
    gamma = 1.0 / max(1.0, float(np.abs(rosen_der(START)).sum()))
    x = before = START.copy()
    g = rosen_der(x)
    for t in range(1, 60):
        x, was = method.query.copy(), g
        if ask(method, t):
            g = was
            continue
        g = rosen_der(x)
        if np.linalg.norm(g) < 1e-5:
            break
        if t > 1:
            s, y = x - before, g - was
            B = dense(pairs, gamma)
            foreseen = s @ B @ s
            if s @ y <= (0.2 * foreseen if pairs else 0.0):
                share = 0.8 * foreseen / (foreseen - s @ y)
                y = share * y + (1.0 - share) * B @ s
                damped += 1
            pairs = [*pairs, (s, y)][-keep:]
            gamma = (s @ y) / (y @ y)
        before = x
        newton = np.linalg.solve(dense(pairs, gamma), g)
        step = method.query - x
        along = step @ newton / (newton @ newton)
        np.testing.assert_allclose(step, along * newton, atol=1e-6 * float(np.linalg.norm(step)))
        looked_at += 1
    assert damped > 1
    assert looked_at > 20


def test_it_finds_the_minimum_that_scipy_finds() -> None:
    method = made()
    for t in range(1, 400):
        ask(method, t)
        if np.linalg.norm(rosen_der(method.model)) < 1e-8:
            break
    expected = minimize(rosen, START, jac=rosen_der, method="L-BFGS-B", tol=1e-14)
    assert rosen(method.model) == pytest.approx(expected.fun, abs=1e-10)
    np.testing.assert_allclose(method.model, expected.x, atol=1e-4)


def test_a_step_downhill_of_a_saddle_is_learnt_from() -> None:
    """f = x^2/2 - cos(y), from near the top: L-BFGS leaves pairs without curvature out."""

    def value(x: FloatArray) -> float:
        return float(0.5 * x[0] ** 2 - np.cos(x[1]))

    def slope(x: FloatArray) -> FloatArray:
        return np.array([x[0], np.sin(x[1])])

    kept = {}
    for name in ("lbfgs", "damped-lbfgs"):
        start = np.array([0.01, 2.8])
        method = METHODS.build(name, Problem(start, L2(0.0), Unbounded()))
        for t in range(1, 4):
            found = Finding(t, value(method.query), slope(method.query), 0.0)
            method.step(found, build_step_size("1"))
        kept[name] = len(method.steps.pairs)  # type: ignore[attr-defined]
        for t in range(4, 60):
            found = Finding(t, value(method.query), slope(method.query), 0.0)
            method.step(found, build_step_size("1"))
        assert value(method.model) == pytest.approx(-1.0, abs=1e-6)
    assert kept["damped-lbfgs"] == 2
    assert kept["lbfgs"] < 2


def test_it_resumes_to_the_last_bit_in_the_middle_of_damping() -> None:
    for at in (3, 8, 15):
        whole, before, resumed = made(), made(), made()
        for t in range(1, 31):
            ask(whole, t)
        for t in range(1, at + 1):
            ask(before, t)
        resumed.load_state({k: v.copy() for k, v in before.state().items()})
        for t in range(at + 1, 31):
            ask(resumed, t)
        assert resumed.query.tobytes() == whole.query.tobytes()
