"""The coded gradients that a worker sends, computed chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array, FloatArray, IntArray
from erasurehead.models.base import Model
from erasurehead.models.batches import Batches, some_rows
from erasurehead.models.rows import Chunk, LocalRows, LocalRowsBuilder
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
    batch: places of the rows that count, and what each stands for (`Batches.of_round`); None: all
        rows count.
    """

    def __init__(
        self,
        rows: LocalRows,
        model: Model,
        theta: npt.NDArray[np.floating[Any]],
        part: int = 0,
        batch: tuple[IntArray, FloatArray] | None = None,
    ) -> None:
        self._rows = rows
        self._model = model
        self._theta = np.asarray(theta, dtype=np.float64)
        self._part = part
        self._batch = batch
        self._ahead = rows.chunks_of[part][::-1]
        """Chunks that are still to be worked through, the next one last."""
        if batch is not None:
            self._bounds = np.searchsorted(batch[0], rows.bounds)
            """Of each chunk, how many rows that count are before it."""
            counting = np.diff(self._bounds) > 0
            self._ahead = [i for i in self._ahead if counting[i]]
        self._sums: list[FloatArray | None] = [None] * rows.n_vectors
        self.loss = [0.0] * rows.n_vectors
        """Coded loss sums so far, one a vector: decode weights apply to them as well."""

    def advance(self) -> bool:
        """Work through one more chunk; return True when none is left."""
        if not self._ahead:
            return True
        index = self._ahead.pop()
        chunk = self._rows.chunks[index]
        if self._batch is not None:
            chunk = self._counting(chunk, index, *self._batch)
        if chunk.coefficients is None:
            found = self._model.sums(chunk, self._theta, [None] * len(self._sums))
        else:
            found = self._model.sums(chunk, self._theta, chunk.coefficients[self._part])
        for v, (loss, gradient) in enumerate(found):
            self.loss[v] += float(loss)
            so_far = self._sums[v]
            # The first chunk's result is kept rather than added to zeros: most workers have
            # only one chunk, and the support may be long.
            self._sums[v] = gradient if so_far is None else np.add(so_far, gradient, out=so_far)
        return not self._ahead

    def _counting(self, chunk: Chunk, index: int, places: IntArray, shares: FloatArray) -> Chunk:
        """Return what counts of a chunk."""
        here = slice(self._bounds[index], self._bounds[index + 1])
        shape = self._rows.n_parts, self._rows.n_vectors
        return some_rows(chunk, places[here] - self._rows.bounds[index], shares[here], shape)

    @property
    def chunks_ahead(self) -> int:
        """Chunks that are still to be worked through."""
        return len(self._ahead)

    @property
    def values(self) -> list[FloatArray]:
        """The vectors of the coded gradient so far, each of shape (parameters,)."""
        return [np.zeros(len(self._theta)) if s is None else s for s in self._sums]


class PartialSums:
    """A model on the rows that a worker holds.

    Attributes
    ----------
    support: the parameters that the rows need, ascending; None: all of them.
    n_rows, n_parts: sizes.
    n_entries: of the rows' matrix, which a gradient passes over twice in a round.
    """

    def __init__(self, rows: LocalRows, model: Model, batches: Batches | None = None) -> None:
        self._rows = rows
        self._model = model
        self._batches = batches
        self.support: Array | None = model.coordinates(rows.support)
        self.n_rows = rows.n_rows
        self.n_parts = rows.n_parts
        n_entries = sum(int(chunk.matrix.size) for chunk in rows.chunks)
        self.n_entries = n_entries if batches is None else round(batches.share * n_entries)

    def gradient(
        self, part: int, theta: npt.NDArray[np.floating[Any]], round_: int
    ) -> CodedGradient:
        """Return the computation of one part of a round's result.

        Parameters
        ----------
        theta: the parameters of the support.
        round_: says which rows count, in mini-batch rounds.
        """
        batch = None if self._batches is None else self._batches.of_round(round_)
        return CodedGradient(self._rows, self._model, theta, part, batch)


class PartialSumsBuilder:
    """Collects the rows of tasks, in the order in which a worker holds them.

    Parameters
    ----------
    model: what is learnt.
    coefficients: how the tasks enter each vector of each part, shape (parts, vectors, tasks).
    dense_share: rows that touch more than this share of the columns are kept on all of them.
    batches: which rows count in a round; None: all of them.
    """

    def __init__(
        self,
        model: Model,
        coefficients: FloatArray,
        dense_share: float,
        batches: Batches | None = None,
    ) -> None:
        n_parts, n_vectors, _ = coefficients.shape
        self._model = model
        self._coefficients = coefficients
        self._batches = batches
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
            yield None if rows is None else PartialSums(rows, self._model, self._batches)

    def finish(self) -> PartialSums:
        """Return the sums at once; the builder is empty afterwards."""
        return PartialSums(self._rows.finish(), self._model, self._batches)
