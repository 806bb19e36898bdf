"""Momentum and Adam, against their recursions and against torch's optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.adam import USUAL_STEP
from erasurehead.optimizing.making import make_method
from erasurehead.optimizing.steps import build_step_size
from tests.support.quadratic import Quadratic, described

L2 = 0.3
ROUNDS = 40


def ours(spec: str, step: str) -> list[FloatArray]:
    """Return the model after each round on a quadratic with a penalty."""
    quadratic, size = Quadratic(), build_step_size(step)
    method, found = METHODS.build(spec, described(quadratic, L2)), []
    for t in range(1, ROUNDS + 1):
        quadratic.step(method, size, t)
        found.append(method.model.copy())
    return found


def test_momentum_on_worked_numbers() -> None:
    """f = x^2/2 from the quadratic's only direction: x_1 = 1 - eta, then by hand."""
    quadratic = Quadratic(1)  # H = 1, b = 1 or -1, from 0
    method, size = (
        METHODS.build("momentum:momentum=0.5", described(quadratic)),
        build_step_size("0.1"),
    )
    sign = quadratic.b[0]
    found = []
    for t in range(1, 4):
        quadratic.step(method, size, t)
        found.append(float(method.model[0] * sign))
    # v: -1, -1.4, -1.46; x: 0.1, 0.24, 0.386
    np.testing.assert_allclose(found, [0.1, 0.24, 0.386], rtol=1e-12)


def test_adams_first_steps_are_as_long_as_eta_whatever_the_gradient() -> None:
    quadratic = Quadratic()
    method = METHODS.build("adam", described(quadratic))
    quadratic.step(method, build_step_size("0.01"), 1)
    np.testing.assert_allclose(np.abs(method.model), 0.01, rtol=1e-5)


def test_adam_on_worked_numbers() -> None:
    """g = -1, then -1 + x: m_hat / sqrt(v_hat) by hand, for beta1 = 1/2 and beta2 = 3/4."""
    quadratic = Quadratic(1)
    method = METHODS.build("adam:beta1=0.5,beta2=0.75,epsilon=1e-300", described(quadratic))
    sign, size = quadratic.b[0], build_step_size("0.1")
    quadratic.step(method, size, 1)
    first = float(method.model[0] * sign)
    quadratic.step(method, size, 2)
    # m = 0.5 * 0.5 + 0.5 * 0.9 = 0.7, v = 0.75 * 0.25 + 0.25 * 0.81 = 0.39
    second = 0.1 + 0.1 * (0.7 / 0.75) / np.sqrt(0.39 / 0.4375)
    np.testing.assert_allclose([first, float(method.model[0] * sign)], [0.1, second], rtol=1e-12)


def torchs(kind: str, step: float, **options: Any) -> list[FloatArray]:
    torch = pytest.importorskip("torch")
    quadratic = Quadratic()
    theta = torch.zeros(30, dtype=torch.float64, requires_grad=True)
    H, b = torch.from_numpy(quadratic.H), torch.from_numpy(quadratic.b)
    optimizer = getattr(torch.optim, kind)([theta], lr=step, **options)
    found = []
    for _ in range(ROUNDS):
        optimizer.zero_grad()
        loss = 0.5 * (theta - b) @ (H @ (theta - b)) + 0.5 * L2 * theta @ theta
        loss.backward()
        optimizer.step()
        found.append(theta.detach().numpy().copy())
    return found


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_momentum_is_that_of_torch(momentum: float) -> None:
    expected = torchs("SGD", 0.02, momentum=momentum)
    found = ours(f"momentum:momentum={momentum}", "0.02")
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_adam_is_that_of_torch() -> None:
    np.testing.assert_allclose(ours("adam", "0.02"), torchs("Adam", 0.02), rtol=1e-9, atol=1e-12)
    expected = torchs("Adam", 0.05, betas=(0.8, 0.9), eps=1e-3)
    found = ours("adam:beta1=0.8,beta2=0.9,epsilon=1e-3", "0.05")
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_adam_has_a_usual_step() -> None:
    _, size = make_method("adam", "auto", described(Quadratic()))
    assert str(size) == f"constant:eta={USUAL_STEP}"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("momentum:momentum=1", "momentum=1 of optimizer 'momentum' must be at least 0 and below"),
        ("adam:beta1=-0.1", "beta1=-0.1 of optimizer 'adam'"),
        ("adam:beta2=1", "beta2=1 of optimizer 'adam'"),
        ("adam:epsilon=0", "epsilon=0 of optimizer 'adam' must be positive"),
    ],
)
def test_values_out_of_range_are_refused(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        METHODS.build(spec, described(Quadratic(3)))
