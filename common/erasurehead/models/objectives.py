"""Objectives: the loss of one row as a function of its margin x·theta, and its derivative.

The objective of a run is f(theta) = (1/N) sum_rows loss(x·theta, label) + (l2/2) ||theta||^2;
workers compute sums over their rows, the optimiser divides and adds the l2 term.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models import metrics
from erasurehead.registry import Registry


class Objective(ABC):
    """A loss, elementwise over rows: `margins` and `labels` have shape (rows,), float64.

    Attributes
    ----------
    name: the registry's name, also on the wire.
    curvature: the largest second derivative of the loss in the margin.
    labels: the labels it is defined for, in words.
    """

    name: ClassVar[str]
    curvature: ClassVar[float]
    labels: ClassVar[str] = "finite numbers"

    @abstractmethod
    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and its derivative in the margin, both of shape (rows,)."""

    @abstractmethod
    def metrics(self, margins: FloatArray, labels: FloatArray) -> dict[str, float]:
        """Return what is reported on test rows; a metric that is undefined there is left out."""

    def suits(self, labels: FloatArray) -> bool:
        """Return whether the loss is defined for all these labels, shape (rows,)."""
        return bool(np.isfinite(labels).all())

    def loss(self, margins: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the loss of each row, shape (rows,)."""
        return self.loss_and_derivative(margins, labels)[0]

    def derivative(self, margins: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the derivative of each row's loss in its margin, shape (rows,)."""
        return self.loss_and_derivative(margins, labels)[1]


class Logistic(Objective):
    """log(1 + exp(-label * margin)) for labels -1 and +1."""

    name = "logistic"
    curvature = 0.25
    labels = "two classes, -1 and +1"

    def suits(self, labels: FloatArray) -> bool:
        """Return whether all labels are -1 or +1."""
        return bool((np.abs(labels) == 1.0).all())

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Both from e = exp(-|z|) <= 1, z = label * margin, so that nothing overflows."""
        z = labels * margins
        e = np.exp(-np.abs(z))
        loss = np.log1p(e)
        loss -= np.minimum(z, 0.0)
        derivative = np.where(z >= 0.0, e, 1.0)
        derivative /= e + 1.0
        derivative *= labels
        return loss, np.negative(derivative, out=derivative)

    def metrics(self, margins: FloatArray, labels: FloatArray) -> dict[str, float]:
        """Return auc (where both classes occur), accuracy and log_loss."""
        if not len(labels):
            return {}
        found = {
            "accuracy": metrics.accuracy(margins, labels),
            "log_loss": float(np.mean(self.loss(margins, labels))),
        }
        if labels.min() < labels.max():
            return {"auc": metrics.auc(margins, labels), **found}
        return found


class LeastSquares(Objective):
    """(1/2) (margin - label)^2."""

    name = "least-squares"
    curvature = 1.0

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return half the squared residual and the residual."""
        residual = margins - labels
        return 0.5 * residual * residual, residual

    def metrics(self, margins: FloatArray, labels: FloatArray) -> dict[str, float]:
        """Return mse and r2."""
        if not len(labels):
            return {}
        return {"mse": metrics.mse(margins, labels), "r2": metrics.r2(margins, labels)}


OBJECTIVES: Registry[Objective] = Registry(
    "objective", {kind.name: kind for kind in (Logistic, LeastSquares)}
)
