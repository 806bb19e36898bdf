"""A worker's rows: from the store itself, from a cache on disk, or streamed by the master."""

from __future__ import annotations

import logging
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, ErasureHeadError, UsageError
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.models.partial_sums import CodedGradient
from erasurehead.models.rows import LocalRows, LocalRowsBuilder
from erasurehead.process.durable import replace_file
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign, Task

log = logging.getLogger(__name__)

PIECE_ROWS = 1 << 15
"""Rows read from a mapped store between two looks at the inbox."""

LONG_NONZEROS = 35_000
"""Non-zeros from which a gradient takes longer (0.3 ms) than asking for a turn."""

_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading an archive of arrays raises when it was cut off, changed or is something else."""


class WorkerRows:
    """The loaded rows of one assignment and the gradients they give."""

    def __init__(self, rows: LocalRows, model: Model) -> None:
        self._rows = rows
        self._model = model
        self.n_rows = rows.n_rows
        self.n_parts = rows.n_parts
        self.take_long = sum(chunk.matrix.size for chunk in rows.chunks) >= LONG_NONZEROS
        self.support = rows.support

    def gradient(self, part: int, theta: npt.NDArray[Any]) -> CodedGradient:
        """Return the computation of one part of the result for this model."""
        return CodedGradient(self._rows, self._model, theta, part)


class RowSource:
    """Reads the rows of an assignment, wherever they can be had.

    Parameters
    ----------
    store: where this machine has the store, instead of where the master says.
    cache: directory that keeps streamed rows by the store's digest.
    """

    def __init__(self, store: str | None = None, cache: Path | None = None) -> None:
        self._store = store
        self._cache = cache
        self._assign: Assign | None = None
        self._builder: LocalRowsBuilder | None = None
        self._chunks: list[Task] = []
        """Of the task being streamed, for the cache."""

    def read(self, assign: Assign) -> Iterator[WorkerRows | None]:
        """Yield None after each piece and the rows at the end.

        Raises
        ------
        ErasureHeadError: the rows cannot be read here; ask the master for them.
        """
        self._assign = assign
        self._builder = None
        train = self._open(assign)
        self._begin()
        try:
            for i, (lo, hi) in enumerate(assign.row_ranges.tolist()):
                for rows in self._from_cache(lo, hi) if train is None else _pieces(train, lo, hi):
                    self._add(i, rows)
                    yield None
        except ErasureHeadError:
            # What was read so far must not be mixed with what the master will send instead.
            self._builder = None
            raise
        yield from self.finish()

    def feed(self, task: Task) -> None:
        """Take one streamed chunk; chunks of a task come in order, tasks in the order held."""
        assert self._assign is not None
        if self._builder is None:
            self._begin()
        rows = CsrRows(
            indptr=task.indptr,
            indices=task.indices,
            values=task.values,
            labels=task.labels,
            n_columns=self._assign.columns,
        )
        index = int(np.searchsorted(self._assign.tasks, task.task))
        self._add(index, rows)
        if self._cache is not None:
            self._chunks.append(task)
            if task.chunk + 1 == task.chunks:
                self._keep(index, self._chunks)
                self._chunks = []

    def finish(self) -> Iterator[WorkerRows | None]:
        """Yield None after each piece and the rows at the end, once all chunks are in."""
        assert self._assign is not None
        assert self._builder is not None
        builder, self._builder = self._builder, None
        model = MODELS.build(self._assign.objective, self._assign.columns, None)
        for rows in builder.steps():
            yield None if rows is None else WorkerRows(rows, model)

    def _begin(self) -> None:
        assert self._assign is not None
        parts, vectors, _ = self._assign.coefficients.shape
        self._chunks = []
        self._builder = LocalRowsBuilder(
            self._assign.columns, (parts, vectors), dense_share=self._assign.dense_share
        )

    def _add(self, index: int, rows: CsrRows) -> None:
        assert self._assign is not None
        assert self._builder is not None
        self._builder.add(rows, self._assign.coefficients[:, :, index])

    def _open(self, assign: Assign) -> CsrRows | None:
        """Return the training rows of the store if it is here and the right one."""
        location = self._store or assign.store
        if location is None:
            return None
        try:
            store = Store.open(location)
        except UsageError as error:
            if self._cache is None:
                raise
            log.debug("%s", error)
            return None
        if store.digest != assign.digest:
            raise DataError(
                f"store {location} has digest {store.digest:.12}, the master's {assign.digest:.12}"
            )
        return store.train

    # Rows kept on disk

    def _file(self, lo: int, hi: int) -> Path | None:
        if self._cache is None or self._assign is None:
            return None
        if not self._assign.digest.isalnum():
            return None  # it came over the wire, and must not lead out of the cache
        return self._cache / self._assign.digest / f"rows-{lo}-{hi}.npz"

    def _from_cache(self, lo: int, hi: int) -> Iterator[CsrRows]:
        """Yield the rows of one task.

        Raises
        ------
        DataError: they are not kept, or no longer whole; ask the master for them.
        """
        assert self._assign is not None
        path = self._file(lo, hi)
        missing = DataError(f"rows {lo} to {hi} are not on this machine")
        if path is None:
            raise missing
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                rows = CsrRows(
                    indptr=kept["indptr"],
                    indices=kept["indices"],
                    values=kept["values"] if "values" in kept.files else None,
                    labels=kept["labels"],
                    n_columns=self._assign.columns,
                )
        except FileNotFoundError:
            raise missing from None
        except _DAMAGED as error:
            log.warning("kept rows %s cannot be read and are asked for again: %s", path, error)
            raise missing from None
        yield rows

    def _keep(self, index: int, chunks: list[Task]) -> None:
        """Write a whole streamed task; a half-written file is never found under its name."""
        assert self._assign is not None
        lo, hi = self._assign.row_ranges[index].tolist()
        path = self._file(lo, hi)
        if path is None:
            return
        arrays: dict[str, npt.NDArray[Any]] = {
            "indptr": np.concatenate(
                [
                    np.zeros(1, np.int64),
                    np.cumsum(np.concatenate([np.diff(c.indptr) for c in chunks])),
                ]
            ),
            "indices": np.concatenate([c.indices for c in chunks]),
            "labels": np.concatenate([c.labels for c in chunks]),
        }
        if chunks[0].values is not None:
            arrays["values"] = np.concatenate([c.values for c in chunks if c.values is not None])
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda file: np.savez(file, **arrays), partial)  # type: ignore[arg-type]
        except OSError as error:
            log.warning("cannot keep streamed rows in %s: %s", path.parent, error.strerror)


def _pieces(train: CsrRows, lo: int, hi: int) -> Iterator[CsrRows]:
    """Yield rows lo to hi - 1 in pieces."""
    for first in range(lo, hi, PIECE_ROWS):
        yield train.rows(first, min(first + PIECE_ROWS, hi))
