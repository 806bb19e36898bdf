"""Huber's regression: numbers of which some are far off."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.linear import LinearModel
from erasurehead.models.metrics import MAE, MSE, R2
from erasurehead.rows import Target


class Huber(LinearModel):
    """r^2/2 for the residual r = margin - label up to delta, beyond it delta |r| - delta^2/2.

    (Huber, "Robust estimation of a location parameter", 1964.) Delta is in the labels' own unit;
    scikit-learn's HuberRegressor has one in units of a scale that it estimates.

    Parameters
    ----------
    n_columns, labels, intercept: as `LinearModel`.
    delta: the residual from which on the loss is a line.

    Raises
    ------
    UsageError: delta is not positive.
    """

    name = "huber"
    target: ClassVar[Target] = "numbers"
    metrics = (MAE, MSE, R2)
    curvature = 1.0

    def __init__(
        self,
        n_columns: int,
        labels: FloatArray | None = None,
        *,
        delta: float,
        intercept: bool = False,
    ) -> None:
        super().__init__(n_columns, labels, intercept=intercept)
        if not (math.isfinite(delta) and delta > 0):
            raise UsageError(f"delta={delta:g} of model huber must be above 0")
        self.delta = delta
        self._specify({"delta": repr(delta)})

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and the residual, cut at delta."""
        residual = margins - labels
        cut = np.clip(residual, -self.delta, self.delta)
        return cut * (residual - 0.5 * cut), cut
