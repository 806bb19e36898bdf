"""Two models that ErasureHead does not have, to see that there is room for them.

A softmax has several parameters a column and some that belong to none, and takes the number of its
classes from the labels. A network has no linear structure at all: rows go in, a gradient comes out,
and it starts from numbers that are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax, softmax

from erasurehead.arrays import Array, FloatArray, IntArray
from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.metrics import MSE, Metric, mean
from erasurehead.models.rows import Piece
from erasurehead.registry import Spec
from erasurehead.rows import Target


def hit_share(outputs: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float:
    return mean(outputs.argmax(axis=1) == labels, weights)


class Softmax(Model):
    """Multinomial logistic regression of classes 0, 1, ..., with an intercept for each class.

    Parameter k * columns + j belongs to class k and column j; the intercepts come last.
    """

    name = "toy-softmax"
    target: ClassVar[Target] = "classes"
    metrics = (Metric("accuracy", True, hit_share),)
    by_column = True

    def __init__(
        self, n_columns: int, labels: FloatArray | None = None, *, classes: int | None = None
    ) -> None:
        if classes is None:
            if labels is None:
                raise UsageError("toy-softmax needs its classes")
            classes = int(np.max(labels)) + 1
        self.classes = classes
        super().__init__(n_columns, self.classes * (n_columns + 1))
        self.spec = Spec(self.name, {"classes": str(self.classes)})

    @property
    def unpenalised(self) -> IntArray:
        return self.classes * self.n_columns + np.arange(self.classes)

    def start(self, rng: np.random.Generator) -> FloatArray:
        return 0.01 * rng.standard_normal(self.n_parameters)

    def coordinates(self, columns: Array | None) -> Array | None:
        if columns is None:
            return None
        each = np.arange(self.classes)[:, np.newaxis]
        weights = each * self.n_columns + columns
        return np.concatenate([weights.ravel(), self.classes * self.n_columns + each.ravel()])

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        n = self.classes * rows.matrix.shape[1]
        weights, intercepts = theta[:n].reshape(self.classes, -1), theta[n:]
        found: FloatArray = rows.matrix @ weights.T + intercepts
        return found

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        logs: FloatArray = log_softmax(outputs, axis=1)
        found: FloatArray = -logs[np.arange(len(labels)), labels.astype(int)]
        return found

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        outputs = self.outputs(rows, theta)
        loss = self.losses(outputs, rows.labels)
        slope = softmax(outputs, axis=1)
        slope[np.arange(len(loss)), rows.labels.astype(int)] -= 1.0
        found = []
        for given in weightings:
            weights = np.ones(len(loss)) if given is None else given
            weighed = weights[:, np.newaxis] * slope
            gradient = [(rows.transposed @ weighed).T.ravel(), weighed.sum(axis=0)]
            found.append((float(weights @ loss), np.concatenate(gradient)))
        return found

    @property
    def bounded(self) -> bool:
        return True

    def curvature_times(
        self, rows: Piece, direction: FloatArray, weights: FloatArray | None
    ) -> FloatArray:
        images = 0.5 * self.outputs(rows, direction)
        images *= 1.0 if weights is None else weights[:, np.newaxis]
        return np.concatenate([(rows.transposed @ images).T.ravel(), images.sum(axis=0)])

    def curvature_diagonal(self, column_squares: FloatArray, total: float) -> FloatArray:
        of_columns = np.tile(column_squares, self.classes)
        return 0.5 * np.concatenate([of_columns, np.full(self.classes, total)])

    def probabilities(self, outputs: FloatArray) -> FloatArray:
        found: FloatArray = softmax(outputs, axis=1)
        return found

    def refusal(self, labels: FloatArray) -> str | None:
        known = np.isin(labels, np.arange(self.classes)).all()
        return None if known else f"it needs classes 0 to {self.classes - 1}"


class Network(Model):
    """Half the squared distance of sum_h v_h tanh(w_h · x) from the label."""

    name = "toy-network"
    target: ClassVar[Target] = "numbers"
    metrics = (MSE,)

    def __init__(
        self, n_columns: int, labels: FloatArray | None = None, *, hidden: int = 3
    ) -> None:
        super().__init__(n_columns, hidden * (n_columns + 1))
        self.hidden = hidden
        self.spec = Spec(self.name, {"hidden": str(hidden)})

    def start(self, rng: np.random.Generator) -> FloatArray:
        return 0.5 * rng.standard_normal(self.n_parameters)

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        w, v = self._layers(theta)
        found: FloatArray = np.tanh(rows.matrix @ w.T) @ v
        return found

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        return 0.5 * np.square(outputs - labels)

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        w, v = self._layers(theta)
        active = np.tanh(rows.matrix @ w.T)
        residual = active @ v - rows.labels
        found = []
        for given in weightings:
            weights = np.ones(len(residual)) if given is None else given
            weighed = weights * residual
            inner = weighed[:, np.newaxis] * v * (1.0 - active**2)
            gradient = np.concatenate([(rows.transposed @ inner).T.ravel(), active.T @ weighed])
            found.append((float(weights @ (0.5 * residual**2)), gradient))
        return found

    def _layers(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        n = self.hidden * self.n_columns
        return theta[:n].reshape(self.hidden, -1), theta[n:]
