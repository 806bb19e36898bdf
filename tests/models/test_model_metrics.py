"""Metrics against scikit-learn, ties included."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from erasurehead.models import MODELS, known_metrics, metrics
from erasurehead.models.logistic import Logistic
from erasurehead.models.scoring import metrics_of

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
    assert metrics.r2(predictions, labels) == pytest.approx(reference.r2_score(labels, predictions))


def test_auc_of_constant_scores_is_a_half() -> None:
    assert metrics.auc(np.zeros(5), np.array([1.0, -1, 1, -1, -1])) == 0.5


def test_auc_of_one_class_is_undefined() -> None:
    assert metrics.auc(np.arange(3.0), np.ones(3)) is None


def test_r2_of_constant_labels() -> None:
    assert metrics.r2(np.ones(3), np.ones(3)) == 1.0
    assert metrics.r2(np.zeros(3), np.ones(3)) == 0.0


def test_every_reported_metric_has_one_direction() -> None:
    """Whoever compares runs must know which way a metric improves, whatever model reports it."""
    for name in MODELS:
        reported = MODELS.build(name, 1, None).metrics
        assert reported
        for metric in reported:
            assert known_metrics()[metric.name].higher_is_better == metric.higher_is_better


def test_the_directions_of_known_metrics() -> None:
    directions = {name: metric.higher_is_better for name, metric in known_metrics().items()}
    expected = {"auc": True, "accuracy": True, "r2": True, "mse": False, "log_loss": False}
    assert directions == expected
