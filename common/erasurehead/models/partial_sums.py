"""The coded gradient that a worker sends, computed chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.models.objectives import Objective
from erasurehead.models.rows import LocalRows


class CodedGradient:
    """The computation of one part for one model, chunk by chunk.

    Parameters
    ----------
    rows: the worker's rows.
    objective: the loss.
    theta: the model on the support, shape (support,).
    part: which of the parts of a slot's answer.
    """

    def __init__(
        self,
        rows: LocalRows,
        objective: Objective,
        theta: npt.NDArray[np.floating[Any]],
        part: int = 0,
    ) -> None:
        self._rows = rows
        self._objective = objective
        self._theta = np.asarray(theta, dtype=np.float64)
        self._part = part
        self._ahead = [c for c in reversed(rows.chunks) if c.used_by(part)]
        self._sums: list[FloatArray | None] = [None] * rows.n_vectors
        self.loss: FloatArray = np.zeros(rows.n_vectors)
        """Coded loss sums so far, shape (n_vectors,): decode weights apply to them as well."""

    def advance(self) -> bool:
        """Work through one more chunk; return True when none is left."""
        if not self._ahead:
            return True
        chunk = self._ahead.pop()
        loss, derivative = self._objective.loss_and_derivative(
            chunk.matrix @ self._theta, chunk.labels
        )
        for v in range(len(self._sums)):
            if chunk.coefficients is None:
                weighted = derivative
                self.loss[v] += loss.sum()
            else:
                coefficients = chunk.coefficients[self._part, v]
                weighted = coefficients * derivative
                self.loss[v] += coefficients @ loss
            gradient = chunk.transposed @ weighted
            so_far = self._sums[v]
            # The first chunk's result is kept rather than added to zeros: most workers have
            # only one chunk, and the support may be long.
            self._sums[v] = gradient if so_far is None else np.add(so_far, gradient, out=so_far)
        return not self._ahead

    @property
    def chunks_ahead(self) -> int:
        """Chunks that are still to be worked through."""
        return len(self._ahead)

    @property
    def values(self) -> FloatArray:
        """The coded gradient so far on the support, shape (n_vectors, support)."""
        sums = [np.zeros(self._rows.n_support) if s is None else s for s in self._sums]
        return sums[0][np.newaxis] if len(sums) == 1 else np.stack(sums)
