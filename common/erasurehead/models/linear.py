"""Models whose output on a row x is its margin x·theta."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from erasurehead.arrays import Array, FloatArray, IntArray
from erasurehead.models.base import Model
from erasurehead.models.rows import Piece
from erasurehead.registry import Spec


class LinearModel(Model):
    """One parameter a column, and perhaps an intercept; a subclass is a loss as a function of the
    margin, to which a row's offset is added.

    Parameters
    ----------
    n_columns: columns of the store.
    labels: of the training rows; of no use here.
    intercept: the last parameter is added to every margin, and no penalty touches it.

    Attributes
    ----------
    curvature: the largest second derivative of the loss in the margin; None: it has no bound. The
        columns' sums of squares still tell how much parameters differ.
    """

    by_column: ClassVar[bool] = True
    takes_offsets: ClassVar[bool] = True
    curvature: float | None = None

    def __init__(
        self, n_columns: int, labels: FloatArray | None = None, *, intercept: bool = False
    ) -> None:
        super().__init__(n_columns, n_parameters=n_columns + intercept)
        self.intercept = intercept
        self._specify({})

    def _specify(self, options: Mapping[str, str]) -> None:
        """Put options into the spec, beside that of an intercept."""
        own = {"intercept": "true"} if self.intercept else {}
        self.spec = Spec(self.name, {**options, **own})

    @abstractmethod
    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and its derivative in the margin, both of shape (rows,)."""

    @property
    def unpenalised(self) -> IntArray:
        """The intercept, if there is one."""
        return np.arange(self.n_columns, self.n_parameters, dtype=np.int64)

    def coordinates(self, columns: Array | None) -> Array | None:
        """Return the columns, of which each has one parameter, and the intercept."""
        if columns is None or not self.intercept:
            return columns
        return np.append(columns, np.asarray(self.n_columns, dtype=columns.dtype))

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return the margins, shape (rows,)."""
        margins = self._linear(rows, theta)
        if rows.offsets is not None:
            margins += rows.offsets
        return margins

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the loss of each row, shape (rows,)."""
        return self.loss_and_derivative(outputs, labels)[0]

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        """Return sums of w loss and of w loss' x for each weighting w."""
        loss, derivative = self.loss_and_derivative(self.outputs(rows, theta), rows.labels)
        return [
            (float(loss.sum()), self._transposed(rows, derivative))
            if weights is None
            else (float(weights @ loss), self._transposed(rows, weights * derivative))
            for weights in weightings
        ]

    @property
    def bounded(self) -> bool:
        """Whether the loss has a largest second derivative."""
        return self.curvature is not None

    @property
    def measured(self) -> bool:
        """Yes: parameters differ as their columns do."""
        return True

    def curvature_times(
        self, rows: Piece, direction: FloatArray, weights: FloatArray | None
    ) -> FloatArray:
        """Return c X^T W X d for the loss's curvature c, shape (n_parameters,)."""
        assert self.curvature is not None
        images = self._linear(rows, direction)
        if weights is not None:
            images *= weights
        image = self._transposed(rows, images)
        image *= self.curvature
        return image

    def curvature_diagonal(self, column_squares: FloatArray, total: float) -> FloatArray:
        """Return c times each column's sum of squares, shape (n_parameters,); c is 1 if the loss
        has no largest curvature."""
        squares = np.append(column_squares, total) if self.intercept else column_squares
        return squares if self.curvature is None else self.curvature * squares

    def _linear(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return x·theta of each row, and the intercept."""
        if not self.intercept:
            margins: FloatArray = rows.matrix @ theta
            return margins
        margins = rows.matrix @ theta[:-1]
        margins += theta[-1]
        return margins

    def _transposed(self, rows: Piece, values: FloatArray) -> FloatArray:
        """Return the sum of x times a value of each row, and the sum of values."""
        image: FloatArray = rows.transposed @ values
        return np.append(image, values.sum()) if self.intercept else image
