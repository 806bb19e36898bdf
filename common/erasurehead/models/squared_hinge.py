"""A support vector machine: two classes by a margin of 1 between them."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models.metrics import ACCURACY, AUC
from erasurehead.models.two_classes import TwoClassModel


class SquaredHinge(TwoClassModel):
    """max(0, 1 - label * margin)^2 for labels -1 and +1; it says nothing of probabilities."""

    name = "squared-hinge"
    metrics = (AUC, ACCURACY)
    curvature = 2.0

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and its derivative in the margin, both of shape (rows,)."""
        short = np.maximum(1.0 - labels * margins, 0.0)
        return short * short, -2.0 * labels * short
