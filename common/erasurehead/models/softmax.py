"""Softmax regression: several classes by the logs of their odds, also called multinomial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from erasurehead.arrays import Array, FloatArray, IntArray
from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.class_weights import BALANCED, ClassWeights
from erasurehead.models.metrics import Metric, auc, mean
from erasurehead.models.rows import Piece
from erasurehead.registry import Spec
from erasurehead.rows import Target

MOST_CLASSES = 10_000
"""More labels than that are hardly classes, and each has a parameter a column."""


def log_probabilities(outputs: FloatArray) -> FloatArray:
    """Return the log of each class's probability, shape (rows, classes), without overflow."""
    logs: FloatArray = outputs - outputs.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return logs


def _hits(outputs: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float:
    return mean(outputs.argmax(axis=1) == labels, weights)


def _log_loss(outputs: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float:
    return mean(-_of_own_class(log_probabilities(outputs), labels), weights)


def _one_versus_rest(
    outputs: FloatArray, labels: FloatArray, weights: FloatArray | None
) -> float | None:
    """Return the mean over classes of the AUC with which a class's probability tells it apart."""
    chances = np.exp(log_probabilities(outputs))
    found = [
        auc(chance, np.where(labels == k, 1.0, -1.0), weights) for k, chance in enumerate(chances.T)
    ]
    defined = [value for value in found if value is not None]
    return float(np.mean(defined)) if defined else None


def _of_own_class(values: FloatArray, labels: FloatArray) -> FloatArray:
    """Return each row's value for its own class, shape (rows,)."""
    return np.asarray(values[np.arange(len(labels)), labels.astype(np.int64)])


CLASS_METRICS = (
    Metric("accuracy", True, _hits),
    Metric("log_loss", False, _log_loss),
    Metric("auc", True, _one_versus_rest, chance=0.5),
)
"""Of outputs that are margins of classes 0, 1, 2, ..., shape (rows, classes)."""


def class_refusal(labels: FloatArray, n_classes: int) -> str | None:
    """Return why labels, shape (rows,), are not classes, as `Model.refusal`; None: they are."""
    known = np.isin(labels, np.arange(n_classes)).all()
    return None if known else f"it needs classes numbered 0 to {n_classes - 1}"


class Softmax(Model):
    """-log p_label for p_k = exp(m_k) / sum_j exp(m_j) and the margins m_k = x·theta_k.

    Every class has parameters of its own, so the penalty treats all alike; without one, a constant
    may be added to all of them. Parameter j K + k belongs to column j and class k; the intercepts
    come last.

    The Hessian of a row's loss in its margins is at most (I - 1 1^T / K) / 2 (Boehning,
    "Multinomial logistic regression algorithm", 1992, theorem 1).

    Parameters
    ----------
    n_columns: columns of the store.
    labels: 0, 1, 2, ... of the training rows, from which K is taken where `classes` is not given.
    classes: K.
    intercept: each class has a parameter that is added to its margins, and no penalty touches it.
    class_weight: what rows of each class count for (`ClassWeights.read`); None: one.

    Raises
    ------
    UsageError: K is unknown, below 2, or above 10,000; or as `ClassWeights.read`.
    """

    name = "softmax"
    target: ClassVar[Target] = "classes"
    lowest_loss: ClassVar[float] = 0.0
    metrics = CLASS_METRICS
    by_column: ClassVar[bool] = True

    def __init__(
        self,
        n_columns: int,
        labels: FloatArray | None = None,
        *,
        classes: int | None = None,
        intercept: bool = False,
        class_weight: str | None = None,
    ) -> None:
        if classes is None:
            if labels is None:
                raise UsageError("softmax needs the number of classes; write softmax:classes=3")
            classes = _count(labels)
        if not 2 <= classes <= MOST_CLASSES:
            raise UsageError(
                f"softmax takes 2 to {MOST_CLASSES:,} classes, and {classes:,} are asked for; take"
                " least-squares if the labels are numbers"
            )
        super().__init__(n_columns, classes * (n_columns + intercept))
        self.n_classes = classes
        self.intercept = intercept
        self._specify({})
        self._class_weights: ClassWeights | None = None
        self._balances = class_weight == BALANCED
        if class_weight is not None:
            self._weigh_classes(ClassWeights.read(class_weight, labels, classes))

    @property
    def unpenalised(self) -> IntArray:
        """The intercepts, if there are any."""
        first = self.n_columns * self.n_classes
        return np.arange(first, self.n_parameters, dtype=np.int64)

    def count_rows(self, labels: FloatArray, weights: FloatArray) -> None:
        """Balance the classes by what their rows count for, if they are to be balanced."""
        if self._balances:
            self._weigh_classes(ClassWeights.balanced(labels, self.n_classes, weights))

    def row_weights(self, labels: FloatArray) -> FloatArray | None:
        """Return the weights of the rows' classes."""
        return None if self._class_weights is None else self._class_weights.of(labels)

    def coordinates(self, columns: Array | None) -> Array | None:
        """Return the parameters of these columns, and the intercepts."""
        if columns is None:
            return None
        firsts = columns.astype(np.int64) * self.n_classes
        of_columns = firsts[:, np.newaxis] + np.arange(self.n_classes)
        found = np.append(of_columns.ravel(), self.unpenalised)
        return found.astype(np.int32) if self.n_parameters < 1 << 31 else found

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return the margins, shape (rows, classes)."""
        n = rows.matrix.shape[1] * self.n_classes
        margins: FloatArray = rows.matrix @ theta[:n].reshape(-1, self.n_classes)
        if self.intercept:
            margins += theta[n:]
        return margins

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the loss of each row, shape (rows,)."""
        return -_of_own_class(log_probabilities(outputs), labels)

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        """Return sums of w loss and of w (p - e_label) x^T for each weighting w."""
        logs = log_probabilities(self.outputs(rows, theta))
        loss = -_of_own_class(logs, rows.labels)
        slopes = np.exp(logs, out=logs)
        slopes[np.arange(len(loss)), rows.labels.astype(np.int64)] -= 1.0
        return [
            (float(loss.sum()), self._transposed(rows, slopes))
            if weights is None
            else (float(weights @ loss), self._transposed(rows, weights[:, np.newaxis] * slopes))
            for weights in weightings
        ]

    @property
    def bounded(self) -> bool:
        """Yes."""
        return True

    def curvature_times(
        self, rows: Piece, direction: FloatArray, weights: FloatArray | None
    ) -> FloatArray:
        """Return X^T W X D (I - 1 1^T / K) / 2 for the direction D, shape (n_parameters,)."""
        images = self.outputs(rows, direction)
        images -= images.mean(axis=1, keepdims=True)
        images *= 0.5
        if weights is not None:
            images *= weights[:, np.newaxis]
        return self._transposed(rows, images)

    def curvature_diagonal(self, column_squares: FloatArray, total: float) -> FloatArray:
        """Return (1 - 1/K) / 2 times each column's sum of squares, for each class."""
        squares = np.append(column_squares, total) if self.intercept else column_squares
        return np.repeat(0.5 * (1.0 - 1.0 / self.n_classes) * squares, self.n_classes)

    def probabilities(self, outputs: FloatArray) -> FloatArray:
        """Return the probability of each class, shape (rows, classes)."""
        return np.exp(log_probabilities(outputs))

    def refusal(self, labels: FloatArray) -> str | None:
        """Refuse what is no class."""
        return class_refusal(labels, self.n_classes)

    def lacks(self, labels: FloatArray, classes: Sequence[str] = ()) -> str | None:
        """Return a class without a row, if there are intercepts."""
        missing = np.setdiff1d(np.arange(self.n_classes), labels)
        if not self.intercept or not len(missing):
            return None
        names = classes if len(classes) == self.n_classes else range(self.n_classes)
        return f"is of the class {names[int(missing[0])]}"

    def _weigh_classes(self, weights: ClassWeights) -> None:
        self._class_weights = weights
        self._specify({"class_weight": str(weights)})

    def _specify(self, options: Mapping[str, str]) -> None:
        """Put options into the spec, beside the number of classes and that of an intercept."""
        own = {"intercept": "true"} if self.intercept else {}
        self.spec = Spec(self.name, {"classes": str(self.n_classes), **options, **own})

    def _transposed(self, rows: Piece, values: FloatArray) -> FloatArray:
        """Return the sums of x times the values of each row, shape (parameters of the rows,)."""
        image = np.asarray(rows.transposed @ values).ravel()
        return np.append(image, values.sum(axis=0)) if self.intercept else image


def _count(labels: FloatArray) -> int:
    """Return the number of classes: 0 to the largest label, which must be a whole number."""
    largest = float(np.max(labels, initial=0.0))
    return int(largest) + 1 if np.isfinite(largest) else 0
