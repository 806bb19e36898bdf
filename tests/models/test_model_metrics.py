"""Metrics against scikit-learn, ties included."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from erasurehead.models import metrics
from erasurehead.models.metrics import HIGHER_IS_BETTER
from erasurehead.models.objectives import OBJECTIVES, Logistic

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
    assert Logistic().metrics(scores, labels)["log_loss"] == pytest.approx(
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
    assert math.isnan(metrics.auc(np.arange(3.0), np.ones(3)))


def test_r2_of_constant_labels() -> None:
    assert metrics.r2(np.ones(3), np.ones(3)) == 1.0
    assert metrics.r2(np.zeros(3), np.ones(3)) == 0.0


def test_every_reported_metric_has_a_direction() -> None:
    """Whoever compares runs must know which way a metric improves."""
    labels = np.array([-1.0, 1.0])
    for name in OBJECTIVES:
        reported = OBJECTIVES.build(name).metrics(np.zeros(2), labels)
        assert reported
        assert set(reported) <= set(HIGHER_IS_BETTER)
