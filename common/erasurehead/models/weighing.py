"""What rows count for: by the store, by the class that they are of, or both."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models.base import Model
from erasurehead.rows import CsrRows


def weights_of(model: Model, rows: CsrRows) -> FloatArray | None:
    """Return what each row counts for in the objective, shape (rows,); None: one each."""
    of_class = model.row_weights(np.asarray(rows.labels))
    if rows.weights is None:
        return of_class
    own = np.asarray(rows.weights, dtype=np.float64)
    return own if of_class is None else own * of_class


def total_weight(model: Model, rows: CsrRows) -> float:
    """Return what all rows count for together, by which sums of losses are divided."""
    weights = weights_of(model, rows)
    return float(len(rows.labels)) if weights is None else float(weights.sum())
