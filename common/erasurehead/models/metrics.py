"""Metrics of a model on test rows, from its outputs and the labels, rows >= 1.

Rows may have weights, shape (rows,), of at least 0 and not all 0; None stands for one each.

Written out here because scikit-learn must not be imported by a master or a worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import Array, FloatArray


@dataclass(frozen=True)
class Metric:
    """A figure by which models are compared.

    Metrics of one name must improve the same way, whatever model reports them.

    Attributes
    ----------
    of: from outputs, shape (rows,) or (rows, outputs of a row), labels, shape (rows,), and weights,
        shape (rows,) or None, to the figure; None if it is not defined on these labels.
    chance: what a model gets that has learnt nothing; None: that depends on the labels.
    """

    name: str
    higher_is_better: bool
    of: Callable[[FloatArray, FloatArray, FloatArray | None], float | None]
    chance: float | None = None


def mean(values: Array, weights: FloatArray | None) -> float:
    """Return the mean of values, shape (rows,), that count for weights, shape (rows,), if any."""
    return float(np.mean(values) if weights is None else np.average(values, weights=weights))


def all_the_same(labels: FloatArray, weights: FloatArray | None) -> bool:
    """Return whether all rows that count have one label; sums about a mean do not tell, for the
    mean of equal numbers need not be one of them."""
    counted = labels if weights is None else labels[weights > 0]
    return bool((counted == counted[0]).all())


def auc(scores: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float | None:
    """Return the area under the ROC curve: P(score of a +1 > score of a -1) + P(equal) / 2.

    From the Mann-Whitney rank sum, tied scores sharing their mean rank. Labels > 0 are positive;
    None if only one class occurs. All have shape (rows,).
    """
    positive = labels > 0
    if weights is not None:
        return _weighted_auc(scores, positive, weights)
    n_positive = int(np.count_nonzero(positive))
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - 0.5 * (counts - 1)
    rank_sum = float(mean_rank[place[positive]].sum())
    return (rank_sum - 0.5 * n_positive * (n_positive + 1)) / (n_positive * n_negative)


def _weighted_auc(scores: FloatArray, positive: Array, weights: FloatArray) -> float | None:
    """Return the same, of pairs that count for the product of their weights."""
    _, place = np.unique(scores, return_inverse=True)
    above = np.bincount(place[positive], weights[positive], place.max(initial=0) + 1)
    below = np.bincount(place[~positive], weights[~positive], place.max(initial=0) + 1)
    pairs = float(above.sum() * below.sum())
    if not pairs:
        return None
    return float(above @ (np.cumsum(below) - 0.5 * below)) / pairs


def accuracy(margins: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the share of rows whose margin has its label's sign; a margin of 0 means -1.

    All have shape (rows,), and so below.
    """
    return mean((margins > 0) == (labels > 0), weights)


def mse(predictions: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the mean squared error."""
    return mean(np.square(predictions - labels), weights)


def mae(predictions: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the mean absolute error."""
    return mean(np.abs(predictions - labels), weights)


def r2(predictions: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """Return 1 - (residual sum of squares) / (sum of squares about the mean).

    For constant labels 1 if every prediction is right, else 0, as scikit-learn has it.
    """
    each = 1.0 if weights is None else weights
    residual = float(np.sum(each * np.square(predictions - labels)))
    total = float(np.sum(each * np.square(labels - mean(labels, weights))))
    if total == 0.0 or all_the_same(labels, weights):
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total


AUC = Metric("auc", True, auc, chance=0.5)
ACCURACY = Metric("accuracy", True, accuracy)
MAE = Metric("mae", False, mae)
MSE = Metric("mse", False, mse)
R2 = Metric("r2", True, r2, chance=0.0)
