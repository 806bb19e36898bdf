"""The coded gradient that a worker sends, computed chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.models.base import Model
from erasurehead.models.rows import LocalRows


class CodedGradient:
    """The computation of one part for one model, chunk by chunk.

    Parameters
    ----------
    rows: the worker's rows.
    model: what is learnt.
    theta: the parameters that the rows need (`Model.coordinates`), shape (parameters,).
    part: which of the parts of a slot's answer.
    """

    def __init__(
        self,
        rows: LocalRows,
        model: Model,
        theta: npt.NDArray[np.floating[Any]],
        part: int = 0,
    ) -> None:
        self._rows = rows
        self._model = model
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
        if chunk.coefficients is None:
            found = self._model.sums(chunk, self._theta, [None] * len(self._sums))
        else:
            found = self._model.sums(chunk, self._theta, chunk.coefficients[self._part])
        for v, (loss, gradient) in enumerate(found):
            self.loss[v] += loss
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
        """The coded gradient so far, shape (n_vectors, parameters)."""
        sums = [np.zeros(len(self._theta)) if s is None else s for s in self._sums]
        return sums[0][np.newaxis] if len(sums) == 1 else np.stack(sums)
