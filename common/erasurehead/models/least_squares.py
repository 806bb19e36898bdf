"""Least squares: numbers by the squared distance from them."""

from __future__ import annotations

from typing import ClassVar

from erasurehead.arrays import FloatArray
from erasurehead.models.linear import LinearModel
from erasurehead.models.metrics import MSE, R2
from erasurehead.rows import Target


class LeastSquares(LinearModel):
    """(1/2) (margin - label)^2."""

    name = "least-squares"
    target: ClassVar[Target] = "numbers"
    lowest_loss: ClassVar[float] = 0.0
    metrics = (MSE, R2)
    curvature = 1.0

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return half the squared residual and the residual."""
        residual = margins - labels
        return 0.5 * residual * residual, residual
