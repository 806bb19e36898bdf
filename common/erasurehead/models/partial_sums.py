"""The coded gradients that a worker sends, computed chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array, FloatArray
from erasurehead.models.base import Model
from erasurehead.models.rows import LocalRows, LocalRowsBuilder
from erasurehead.models.weighing import weights_of
from erasurehead.rows import CsrRows


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


class PartialSums:
    """A model on the rows that a worker holds.

    Attributes
    ----------
    support: the parameters that the rows need, ascending; None: all of them.
    n_rows, n_parts: sizes.
    n_entries: of the rows' matrix, which a gradient passes over twice.
    """

    def __init__(self, rows: LocalRows, model: Model) -> None:
        self._rows = rows
        self._model = model
        self.support: Array | None = model.coordinates(rows.support)
        self.n_rows = rows.n_rows
        self.n_parts = rows.n_parts
        self.n_entries = sum(int(chunk.matrix.size) for chunk in rows.chunks)

    def gradient(self, part: int, theta: npt.NDArray[np.floating[Any]]) -> CodedGradient:
        """Return the computation of one part of a result for these parameters of the support."""
        return CodedGradient(self._rows, self._model, theta, part)


class PartialSumsBuilder:
    """Collects the rows of tasks, in the order in which a worker holds them.

    Parameters
    ----------
    model: what is learnt.
    coefficients: how the tasks enter each vector of each part, shape (parts, vectors, tasks).
    dense_share: rows that touch more than this share of the columns are kept on all of them.
    """

    def __init__(self, model: Model, coefficients: FloatArray, dense_share: float) -> None:
        n_parts, n_vectors, _ = coefficients.shape
        self._model = model
        self._coefficients = coefficients
        self._rows = LocalRowsBuilder(
            model.n_columns,
            (n_parts, n_vectors),
            dense_share=dense_share,
            all_columns=not model.by_column,
        )

    def add(self, task: int, rows: CsrRows) -> None:
        """Append rows of a task, which is named by its place in the last axis of `coefficients`.

        Raises
        ------
        DataError: the arrays do not fit together, or a column is out of range.
        """
        weights = weights_of(self._model, rows)
        self._rows.add(rows, self._coefficients[:, :, task], weights)

    def steps(self) -> Iterator[PartialSums | None]:
        """Yield None after each block of rows is taken over, and the sums at the end."""
        for rows in self._rows.steps():
            yield None if rows is None else PartialSums(rows, self._model)

    def finish(self) -> PartialSums:
        """Return the sums at once; the builder is empty afterwards."""
        return PartialSums(self._rows.finish(), self._model)
