"""Losses against closed forms of scipy, finite differences and extreme margins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from erasurehead.errors import UsageError
from erasurehead.models import MODELS
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.linear import LinearModel
from erasurehead.models.logistic import Logistic
from erasurehead.models.rows import Piece
from erasurehead.models.scoring import metrics_of

LINEAR = (Logistic, LeastSquares)

margins = st.lists(st.floats(-30, 30), min_size=1, max_size=20)


@given(margins, st.integers(0, 2**31))
def test_logistic_equals_scipys_log_expit(m: list[float], seed: int) -> None:
    m_ = np.array(m)
    y = np.random.default_rng(seed).choice([-1.0, 1.0], len(m))
    loss, derivative = Logistic(1).loss_and_derivative(m_, y)
    np.testing.assert_allclose(loss, -special.log_expit(y * m_), rtol=1e-13)
    np.testing.assert_allclose(derivative, -y * special.expit(-y * m_), rtol=1e-13)
    np.testing.assert_array_equal(Logistic(1).losses(m_, y), loss)


def test_logistic_does_not_overflow() -> None:
    m = np.array([-1e300, -1e4, -0.0, 0.0, 1e4, 1e300])
    loss, derivative = Logistic(1).loss_and_derivative(m, np.ones(6))
    np.testing.assert_array_equal(loss, [1e300, 1e4, np.log(2), np.log(2), 0, 0])
    np.testing.assert_array_equal(derivative, [-1, -1, -0.5, -0.5, 0, 0])


@pytest.mark.parametrize("kind", LINEAR)
def test_derivative_is_the_finite_difference_of_the_loss(kind: type[LinearModel]) -> None:
    model = kind(1)
    m = np.linspace(-5, 5, 41)
    h = 1e-6
    for label in (-1.0, 1.0):
        y = np.full(41, label)
        slope = (model.losses(m + h, y) - model.losses(m - h, y)) / (2 * h)
        np.testing.assert_allclose(model.loss_and_derivative(m, y)[1], slope, atol=1e-8)


@pytest.mark.parametrize("kind", LINEAR)
def test_curvature_is_the_largest_second_difference(kind: type[LinearModel]) -> None:
    model = kind(1)
    m = np.linspace(-5, 5, 1001)
    y, h = np.ones(1001), 1e-5
    above, below = (model.loss_and_derivative(m + d, y)[1] for d in (h, -h))
    assert ((above - below) / (2 * h)).max() == pytest.approx(model.curvature, rel=1e-6)


def test_least_squares_is_half_the_squared_residual() -> None:
    loss, derivative = LeastSquares(1).loss_and_derivative(np.array([3.0, 1.0]), np.array([1.0, 2]))
    np.testing.assert_array_equal(loss, [2.0, 0.5])
    np.testing.assert_array_equal(derivative, [2.0, -1.0])


def test_inputs_are_left_alone() -> None:
    m, y = np.array([1.0, -2.0]), np.array([1.0, -1.0])
    for kind in LINEAR:
        kind(1).loss_and_derivative(m, y)
    np.testing.assert_array_equal(m, [1, -2])
    np.testing.assert_array_equal(y, [1, -1])


def test_metrics_that_are_undefined_are_left_out() -> None:
    model = Logistic(1)
    none = np.zeros(0)
    assert metrics_of(model, none, none) == {}
    assert metrics_of(LeastSquares(1), none, none) == {}
    assert list(metrics_of(model, np.zeros(2), np.ones(2))) == ["accuracy", "log_loss"]
    both = metrics_of(model, np.array([1.0, -1.0]), np.array([1.0, -1.0]))
    assert both == {"auc": 1.0, "accuracy": 1.0, "log_loss": pytest.approx(np.log1p(np.exp(-1)))}


def test_labels_that_do_not_suit_are_refused_in_words() -> None:
    fractions, gaps = np.array([0.5, 1.0]), np.array([1.0, np.nan])
    assert Logistic(1).refusal(fractions) == "it needs two classes, -1 and +1"
    assert Logistic(1).refusal(gaps) is not None
    assert Logistic(1).refusal(np.array([1.0, -1.0, 1.0])) is None
    assert LeastSquares(1).refusal(gaps) == "it needs finite numbers"
    assert LeastSquares(1).refusal(fractions) is None


def test_predictions_of_classes_are_margins_and_probabilities() -> None:
    margins = np.array([0.0, np.log(3)])
    found = Logistic(1).predictions(margins, ["no", "yes"])
    assert list(found) == ["class", "margin of yes", "probability of no", "probability of yes"]
    assert found["class"].tolist() == ["no", "yes"]
    assert found["margin of yes"] is margins
    np.testing.assert_allclose(found["probability of no"], [0.5, 0.25])
    np.testing.assert_allclose(found["probability of yes"], [0.5, 0.75])
    assert list(Logistic(1).predictions(margins)["class"]) == ["-1", "+1"]
    assert list(LeastSquares(1).predictions(margins)) == ["prediction"]


@pytest.mark.parametrize("kind", LINEAR)
def test_sums_weigh_rows_and_differ_from_none_by_nothing(kind: type[LinearModel]) -> None:
    """Ones and None ask for the same sums; two weightings cost one look at the rows."""
    rng = np.random.default_rng(3)
    X, y, theta = rng.normal(size=(9, 4)), rng.choice([-1.0, 1.0], 9), rng.normal(size=4)
    weights = rng.normal(size=9)
    model = kind(4)
    plain, weighed, ones = model.sums(Piece(X, X.T, y), theta, [None, weights, np.ones(9)])
    loss, derivative = model.loss_and_derivative(X @ theta, y)
    assert plain[0] == pytest.approx(loss.sum())
    assert weighed[0] == pytest.approx(weights @ loss)
    assert ones[0] == pytest.approx(plain[0])
    np.testing.assert_allclose(plain[1], derivative @ X)
    np.testing.assert_allclose(weighed[1], (weights * derivative) @ X)
    np.testing.assert_allclose(ones[1], plain[1])


def test_a_misspelt_model_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'logistic'"):
        MODELS.build("logistics", 1, None)
