"""The model on the test rows, in chunks small enough to fit between two messages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from erasurehead.models.objectives import Objective
from erasurehead.rows import CsrRows

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
            margins[lo:hi] = self._rows.rows(lo, hi).matrix() @ theta
            yield None
        yield self._objective.metrics(margins, np.asarray(self._rows.labels))

    def now(self, theta: npt.NDArray[np.float64]) -> dict[str, float]:
        """Return the metrics of `theta` at once."""
        for metrics in self.steps(theta):
            if metrics is not None:
                return metrics
        raise AssertionError("steps() always ends with the metrics")
