"""Models whose output on a row x is its margin x·theta."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from erasurehead.arrays import Array, FloatArray
from erasurehead.models.base import Model
from erasurehead.models.rows import Piece


class LinearModel(Model):
    """One parameter a column; a subclass is a loss as a function of the margin.

    Parameters
    ----------
    n_columns: columns of the store.
    labels: of the training rows; of no use here.

    Attributes
    ----------
    curvature: the largest second derivative of the loss in the margin; None: it has no bound.
    """

    by_column: ClassVar[bool] = True
    curvature: float | None = None

    def __init__(self, n_columns: int, labels: FloatArray | None = None) -> None:
        super().__init__(n_columns, n_parameters=n_columns)

    @abstractmethod
    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and its derivative in the margin, both of shape (rows,)."""

    def coordinates(self, columns: Array | None) -> Array | None:
        """Return the columns: each has one parameter."""
        return columns

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return the margins, shape (rows,)."""
        margins: FloatArray = rows.matrix @ theta
        return margins

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the loss of each row, shape (rows,)."""
        return self.loss_and_derivative(outputs, labels)[0]

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        """Return sums of w loss and of w loss' x for each weighting w."""
        loss, derivative = self.loss_and_derivative(rows.matrix @ theta, rows.labels)
        return [
            (float(loss.sum()), rows.transposed @ derivative)
            if weights is None
            else (float(weights @ loss), rows.transposed @ (weights * derivative))
            for weights in weightings
        ]

    @property
    def bounded(self) -> bool:
        """Whether the loss has a largest second derivative."""
        return self.curvature is not None

    def curvature_times(self, rows: Piece, direction: FloatArray) -> FloatArray:
        """Return c X^T X d for the loss's curvature c, shape (n_parameters,)."""
        assert self.curvature is not None
        image: FloatArray = rows.transposed @ (rows.matrix @ direction)
        image *= self.curvature
        return image

    def curvature_diagonal(self, column_squares: FloatArray, n_rows: int) -> FloatArray:
        """Return c times each column's sum of squares, shape (n_parameters,)."""
        assert self.curvature is not None
        return self.curvature * column_squares
