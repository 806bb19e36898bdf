"""Losses against closed forms of scipy, finite differences and extreme margins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from erasurehead.errors import UsageError
from erasurehead.models.objectives import OBJECTIVES, LeastSquares, Logistic

margins = st.lists(st.floats(-30, 30), min_size=1, max_size=20)


@given(margins, st.integers(0, 2**31))
def test_logistic_equals_scipys_log_expit(m: list[float], seed: int) -> None:
    m_ = np.array(m)
    y = np.random.default_rng(seed).choice([-1.0, 1.0], len(m))
    objective = Logistic()
    np.testing.assert_allclose(objective.loss(m_, y), -special.log_expit(y * m_), rtol=1e-13)
    expected = -y * special.expit(-y * m_)
    np.testing.assert_allclose(objective.derivative(m_, y), expected, rtol=1e-13)


def test_logistic_does_not_overflow() -> None:
    m = np.array([-1e300, -1e4, -0.0, 0.0, 1e4, 1e300])
    loss, derivative = Logistic().loss_and_derivative(m, np.ones(6))
    np.testing.assert_array_equal(loss, [1e300, 1e4, np.log(2), np.log(2), 0, 0])
    np.testing.assert_array_equal(derivative, [-1, -1, -0.5, -0.5, 0, 0])


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_derivative_is_the_finite_difference_of_the_loss(name: str) -> None:
    objective = OBJECTIVES.build(name)
    m = np.linspace(-5, 5, 41)
    h = 1e-6
    for label in (-1.0, 1.0):
        y = np.full(41, label)
        slope = (objective.loss(m + h, y) - objective.loss(m - h, y)) / (2 * h)
        np.testing.assert_allclose(objective.derivative(m, y), slope, atol=1e-8)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_curvature_is_the_largest_second_difference(name: str) -> None:
    objective = OBJECTIVES.build(name)
    m = np.linspace(-5, 5, 1001)
    y, h = np.ones(1001), 1e-5
    second = (objective.derivative(m + h, y) - objective.derivative(m - h, y)) / (2 * h)
    assert second.max() == pytest.approx(objective.curvature, rel=1e-6)


def test_least_squares_is_half_the_squared_residual() -> None:
    loss, derivative = LeastSquares().loss_and_derivative(np.array([3.0, 1.0]), np.array([1.0, 2]))
    np.testing.assert_array_equal(loss, [2.0, 0.5])
    np.testing.assert_array_equal(derivative, [2.0, -1.0])


def test_inputs_are_left_alone() -> None:
    m, y = np.array([1.0, -2.0]), np.array([1.0, -1.0])
    for name in OBJECTIVES:
        OBJECTIVES.build(name).loss_and_derivative(m, y)
    np.testing.assert_array_equal(m, [1, -2])
    np.testing.assert_array_equal(y, [1, -1])


def test_metrics_that_are_undefined_are_left_out() -> None:
    objective = Logistic()
    none = np.zeros(0)
    assert objective.metrics(none, none) == {}
    assert LeastSquares().metrics(none, none) == {}
    assert list(objective.metrics(np.zeros(2), np.ones(2))) == ["accuracy", "log_loss"]
    both = objective.metrics(np.array([1.0, -1.0]), np.array([1.0, -1.0]))
    assert both == {"auc": 1.0, "accuracy": 1.0, "log_loss": pytest.approx(np.log1p(np.exp(-1)))}


def test_a_misspelt_objective_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'logistic'"):
        OBJECTIVES.build("logistics")
