"""A model: multinomial logistic regression, one block of parameters a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.models.metrics import Metric, mean
from erasurehead.models.rows import Piece
from erasurehead.registry import Spec
from erasurehead.rows import Target


def hits(outputs: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float:
    """Return the share of rows whose largest output is their label's."""
    return mean(outputs.argmax(axis=1) == labels, weights)


class ToySoftmax(Model):
    """Outputs x·theta_c for each class c; the labels are 0, 1, ..., K-1."""

    name = "toy-softmax"
    target: ClassVar[Target] = "classes"
    by_column: ClassVar[bool] = True
    metrics = (Metric("hits", True, hits),)

    def __init__(
        self, n_columns: int, labels: FloatArray | None = None, *, classes: int | None = None
    ) -> None:
        if classes is None:
            classes = 1 if labels is None else int(labels.max()) + 1
        super().__init__(n_columns, classes * n_columns)
        self.n_classes = classes
        self.spec = Spec(self.name, {"classes": str(classes)})  # what workers build it from

    def coordinates(self, columns: Array | None) -> Array | None:
        """Return the parameters of these columns, class by class."""
        if columns is None:
            return None
        blocks = self.n_columns * np.arange(self.n_classes)
        return (blocks[:, np.newaxis] + columns).ravel()

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return x·theta_c, shape (rows, classes)."""
        return np.asarray(rows.matrix @ theta.reshape(self.n_classes, -1).T)

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        """Return log sum_c exp(output_c) - output_label of each row."""
        largest = outputs.max(axis=1)
        total = np.exp(outputs - largest[:, np.newaxis]).sum(axis=1)
        own = outputs[np.arange(len(labels)), labels.astype(int)]
        return np.asarray(largest + np.log(total) - own)

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        """Return a sum of losses and one of gradients for each weighting of the rows."""
        outputs = self.outputs(rows, theta)
        losses = self.losses(outputs, rows.labels)
        slopes = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        slopes /= slopes.sum(axis=1, keepdims=True)
        slopes[np.arange(len(losses)), rows.labels.astype(int)] -= 1.0
        sums = []
        for weights in weightings:
            w = np.ones(len(losses)) if weights is None else weights
            gradient = np.asarray(rows.transposed @ (w[:, np.newaxis] * slopes))
            sums.append((float(w @ losses), gradient.T.ravel()))
        return sums

    def refusal(self, labels: FloatArray) -> str | None:
        """Refuse what is no class."""
        wrong = (labels < 0) | (labels >= self.n_classes) | (labels % 1 != 0)
        return f"it needs labels 0 to {self.n_classes - 1}" if wrong.any() else None


MODELS.register("toy-softmax", ToySoftmax)
