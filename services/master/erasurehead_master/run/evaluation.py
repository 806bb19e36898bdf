"""The model on the test rows, in chunks small enough to fit between two messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from erasurehead.datasets.store import CsrRows
from erasurehead.models.objectives import Objective

CHUNK_NONZEROS = 1 << 18


class Evaluator:
    """Margins of a model on a fixed set of rows, then the objective's metrics.

    Parameters
    ----------
    rows: the test rows, mapped.
    objective: names the metrics.
    """

    def __init__(self, rows: CsrRows, objective: Objective) -> None:
        self._rows = rows
        self._objective = objective
        per_row = max(1, int(rows.indptr[-1]) // max(1, len(rows.labels)))
        self._chunk_rows = max(1, CHUNK_NONZEROS // per_row)

    def __bool__(self) -> bool:
        return len(self._rows.labels) > 0

    def steps(self, theta: npt.NDArray[np.float64]) -> Iterator[dict[str, float] | None]:
        """Yield None after each chunk and the metrics at the end.

        `theta` must not change meanwhile.
        """
        n_rows = len(self._rows.labels)
        margins = np.empty(n_rows)
        for lo in range(0, n_rows, self._chunk_rows):
            hi = min(lo + self._chunk_rows, n_rows)
            margins[lo:hi] = as_matrix(self._rows.rows(lo, hi)) @ theta
            yield None
        yield self._objective.metrics(margins, np.asarray(self._rows.labels))

    def now(self, theta: npt.NDArray[np.float64]) -> dict[str, float]:
        """Return the metrics of `theta` at once."""
        for metrics in self.steps(theta):
            if metrics is not None:
                return metrics
        raise AssertionError("steps() always ends with the metrics")


def as_matrix(rows: CsrRows) -> csr_array:
    """Return rows of a store as a scipy matrix, with explicit ones where they are implied."""
    indices: npt.NDArray[Any] = np.asarray(rows.indices)
    values = np.ones(len(indices)) if rows.values is None else np.asarray(rows.values)
    indptr = np.asarray(rows.indptr).astype(indices.dtype)
    return csr_array((values, indices, indptr), shape=(len(rows.labels), rows.n_columns))
