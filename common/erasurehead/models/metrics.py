"""Metrics of a model on test rows, from its outputs and the labels, rows >= 1.

Written out here because scikit-learn must not be imported by a master or a worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray


@dataclass(frozen=True)
class Metric:
    """A figure by which models are compared.

    Metrics of one name must improve the same way, whatever model reports them.

    Attributes
    ----------
    of: from outputs, shape (rows,) or (rows, outputs of a row), and labels, shape (rows,), to the
        figure; None if it is not defined on these labels.
    chance: what a model gets that has learnt nothing; None: that depends on the labels.
    """

    name: str
    higher_is_better: bool
    of: Callable[[FloatArray, FloatArray], float | None]
    chance: float | None = None


def auc(scores: FloatArray, labels: FloatArray) -> float | None:
    """Return the area under the ROC curve: P(score of a +1 > score of a -1) + P(equal) / 2.

    From the Mann-Whitney rank sum, tied scores sharing their mean rank. Labels > 0 are positive;
    None if only one class occurs.
    """
    positive = labels > 0
    n_positive = int(np.count_nonzero(positive))
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - 0.5 * (counts - 1)
    rank_sum = float(mean_rank[place[positive]].sum())
    return (rank_sum - 0.5 * n_positive * (n_positive + 1)) / (n_positive * n_negative)


def accuracy(margins: FloatArray, labels: FloatArray) -> float:
    """Return the share of rows whose margin has its label's sign; a margin of 0 means -1."""
    return float(np.mean((margins > 0) == (labels > 0)))


def mse(predictions: FloatArray, labels: FloatArray) -> float:
    """Return the mean squared error."""
    return float(np.mean(np.square(predictions - labels)))


def r2(predictions: FloatArray, labels: FloatArray) -> float:
    """Return 1 - (residual sum of squares) / (sum of squares about the mean).

    For constant labels 1 if every prediction is right, else 0, as scikit-learn has it.
    """
    residual = float(np.sum(np.square(predictions - labels)))
    total = float(np.sum(np.square(labels - np.mean(labels))))
    if total == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total


AUC = Metric("auc", True, auc, chance=0.5)
ACCURACY = Metric("accuracy", True, accuracy)
MSE = Metric("mse", False, mse)
R2 = Metric("r2", True, r2, chance=0.0)
