"""Logistic regression: two classes by the log of their odds."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models.metrics import ACCURACY, AUC, Metric, mean
from erasurehead.models.two_classes import TwoClassModel


def loss_and_derivative(margins: FloatArray, labels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log(1 + exp(-z)), z = label * margin, and its derivative in the margin.

    Both from e = exp(-|z|) <= 1, so that nothing overflows. All shapes are (rows,).
    """
    z = labels * margins
    e = np.exp(-np.abs(z))
    loss = np.log1p(e)
    loss -= np.minimum(z, 0.0)
    derivative = np.where(z >= 0.0, e, 1.0)
    derivative /= e + 1.0
    derivative *= labels
    return loss, np.negative(derivative, out=derivative)


def _mean_loss(margins: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float:
    return mean(loss_and_derivative(margins, labels)[0], weights)


class Logistic(TwoClassModel):
    """log(1 + exp(-label * margin)) for labels -1 and +1."""

    name = "logistic"
    lowest_loss: ClassVar[float] = 0.0
    metrics = (AUC, ACCURACY, Metric("log_loss", False, _mean_loss))
    curvature = 0.25

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and its derivative in the margin, both of shape (rows,)."""
        return loss_and_derivative(margins, labels)

    def probabilities(self, outputs: FloatArray) -> FloatArray:
        """Return the probabilities of -1 and of +1."""
        # Not at the top: workers and masters never predict, and the import takes its time.
        from scipy.special import expit

        return np.stack([expit(-outputs), expit(outputs)], axis=1)
