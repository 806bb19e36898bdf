"""The coefficients of a linear model, whatever the order of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models.base import Model
from erasurehead.models.scoring import outputs_on
from erasurehead.rows import CsrRows


def coefficients(model: Model, theta: FloatArray) -> tuple[FloatArray, Any]:
    """Return the coefficients and intercepts of a linear model.

    They are what it says of rows with a one in one column, and of a row without entries. `theta`
    has shape (n_parameters,).

    Returns
    -------
    Shape (columns,) and a number; or (classes, columns) and (classes,).
    """
    n = model.n_columns
    unit = CsrRows(
        indptr=np.append(np.arange(n + 1), n).astype(np.int64),
        indices=np.arange(n, dtype=np.int64),
        values=None,
        labels=np.zeros(n + 1),
        n_columns=n,
    )
    outputs = outputs_on(unit, model, theta)
    return np.ascontiguousarray((outputs[:-1] - outputs[-1]).T), outputs[-1]
