"""Metrics against scikit-learn, ties included."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics as reference

from erasurehead.models import MODELS, known_metrics, metrics
from erasurehead.models.gamma import Gamma
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.models.poisson import Poisson
from erasurehead.models.scoring import metrics_of
from erasurehead.models.softmax import Softmax
from erasurehead.models.tweedie import Tweedie

Vector = npt.NDArray[np.float64]


@st.composite
def scored(draw: st.DrawFn) -> tuple[Vector, Vector]:
    """Scores with many ties, and labels of both classes."""
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    scores = rng.integers(-4, 5, n) / draw(st.sampled_from([1.0, 3.0, 7.0]))
    labels = rng.choice([-1.0, 1.0], n)
    labels[0], labels[-1] = -1.0, 1.0
    return scores, labels


@given(scored())
def test_classification_metrics_equal_sklearns(case: tuple[Vector, Vector]) -> None:
    scores, labels = case
    assert metrics.auc(scores, labels) == pytest.approx(reference.roc_auc_score(labels, scores))
    assert metrics.accuracy(scores, labels) == pytest.approx(
        reference.accuracy_score(labels > 0, scores > 0)
    )
    probability = 1 / (1 + np.exp(-scores))
    assert metrics_of(Logistic(1), scores, labels)["log_loss"] == pytest.approx(
        reference.log_loss(labels, probability)
    )


@given(scored())
def test_regression_metrics_equal_sklearns(case: tuple[Vector, Vector]) -> None:
    predictions, labels = case
    assert metrics.mse(predictions, labels) == pytest.approx(
        reference.mean_squared_error(labels, predictions)
    )
    assert metrics.mae(predictions, labels) == pytest.approx(
        reference.mean_absolute_error(labels, predictions)
    )
    assert metrics.r2(predictions, labels) == pytest.approx(reference.r2_score(labels, predictions))


@given(scored(), st.integers(0, 2**31))
def test_weights_count_as_sklearns_do(case: tuple[Vector, Vector], seed: int) -> None:
    scores, labels = case
    weights = np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 3.0], len(labels))
    weights[0] = weights[-1] = 2.0
    given = {"sample_weight": weights}
    assert metrics.auc(scores, labels, weights) == pytest.approx(
        reference.roc_auc_score(labels, scores, **given)
    )
    found = metrics_of(Logistic(1), scores, labels, weights)
    probability = 1 / (1 + np.exp(-scores))
    assert found["accuracy"] == pytest.approx(
        reference.accuracy_score(labels > 0, scores > 0, **given)
    )
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, probability, **given))
    found = metrics_of(LeastSquares(1), scores, labels, weights)
    assert found["mse"] == pytest.approx(reference.mean_squared_error(labels, scores, **given))
    assert found["r2"] == pytest.approx(reference.r2_score(labels, scores, **given))


@given(st.integers(0, 2**31), st.booleans())
def test_metrics_of_several_classes_equal_sklearns(seed: int, weighed: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(0, 4, 20), np.arange(4)).astype(np.float64)
    margins = rng.integers(-3, 4, (24, 4)) / 2.0
    weights = rng.uniform(0.1, 2.0, 24) if weighed else None
    given = {"sample_weight": weights}
    found = metrics_of(Softmax(1, classes=4), margins, labels, weights)
    chances = Softmax(1, classes=4).probabilities(margins)  # ties are ties of these
    np.testing.assert_allclose(chances, special.softmax(margins, axis=1), rtol=1e-12)
    assert list(found) == ["accuracy", "log_loss", "auc"]
    assert found["accuracy"] == pytest.approx(
        reference.accuracy_score(labels, margins.argmax(axis=1), **given)
    )
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, chances, **given))
    each = [reference.roc_auc_score(labels == k, chances[:, k], **given) for k in range(4)]
    assert found["auc"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize("power", [1.0, 1.4, 2.0])
@pytest.mark.parametrize("weighed", [False, True])
def test_deviances_equal_sklearns(power: float, weighed: bool) -> None:
    rng = np.random.default_rng(5)
    labels = rng.gamma(1.0, 2.0, 30) if power == 2 else rng.poisson(1.0, 30).astype(np.float64)
    margins = rng.normal(size=30)
    weights = rng.uniform(0.1, 2.0, 30) if weighed else None
    given = {"sample_weight": weights, "power": power}
    found = metrics_of(Tweedie(1, power=power), margins, labels, weights)
    means = Tweedie(1, power=power).predictions(margins)["prediction"]
    np.testing.assert_allclose(means, np.exp(margins))
    assert found["deviance"] == pytest.approx(
        reference.mean_tweedie_deviance(labels, means, **given)
    )
    assert found["d2"] == pytest.approx(reference.d2_tweedie_score(labels, means, **given))
    assert found == metrics_of(
        {1.0: Poisson(1), 2.0: Gamma(1)}.get(power, Tweedie(1, power=power)),
        margins,
        labels,
        weights,
    )


def test_no_metric_is_defined_where_all_weights_are_zero() -> None:
    assert metrics_of(Logistic(1), np.zeros(2), np.array([1.0, -1.0]), np.zeros(2)) == {}


def test_auc_of_constant_scores_is_a_half() -> None:
    assert metrics.auc(np.zeros(5), np.array([1.0, -1, 1, -1, -1])) == 0.5


def test_auc_of_one_class_is_undefined() -> None:
    assert metrics.auc(np.arange(3.0), np.ones(3)) is None


def test_r2_of_constant_labels() -> None:
    assert metrics.r2(np.ones(3), np.ones(3)) == 1.0
    assert metrics.r2(np.zeros(3), np.ones(3)) == 0.0


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        ([0.1] * 7, None),
        ([0.7] * 7, [0.2, 0.1, 3.0, 0.2, 0.1, 0.7, 0.3]),
        ([0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 9.0], [0.1, 0.7, 0.1, 0.2, 0.1, 0.7, 0.0]),
    ],
)
def test_labels_that_are_the_same_have_no_spread(
    labels: list[float], weights: list[float] | None
) -> None:
    """Their mean may differ from them by rounding."""
    given, counts = np.array(labels), None if weights is None else np.array(weights)
    assert metrics.r2(np.full(7, 0.5), given, counts) == 0.0
    assert metrics.r2(given.copy(), given, counts) == 1.0
    for model in (Poisson(1), Gamma(1), Tweedie(1, power=1.5)):
        assert "d2" not in metrics_of(model, np.zeros(7), given, counts)


def test_every_reported_metric_has_one_direction() -> None:
    """Whoever compares runs must know which way a metric improves, whatever model reports it."""
    required = {"huber": "huber:delta=1", "tweedie": "tweedie:power=1.5"}
    for name in set(MODELS) - {"torch"}:
        reported = MODELS.build(required.get(name, name), 1, np.array([-1.0, 1.0])).metrics
        assert reported
        for metric in reported:
            assert known_metrics()[metric.name].higher_is_better == metric.higher_is_better


def test_the_directions_of_known_metrics() -> None:
    directions = {name: metric.higher_is_better for name, metric in known_metrics().items()}
    expected = {"auc": True, "accuracy": True, "r2": True, "mse": False, "log_loss": False}
    expected |= {"mae": False, "d2": True, "deviance": False}
    assert directions == expected
