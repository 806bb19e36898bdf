"""A worker's rows: from the store itself, from a cache on disk, or streamed by the master."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.store import CsrRows, Store
from erasurehead.errors import DataError
from erasurehead.learning.coded_gradient import CodedGradient
from erasurehead.learning.objectives import OBJECTIVES, Objective
from erasurehead.learning.rows import LocalRows, LocalRowsBuilder
from erasurehead.wire.messages import Assign, Task

log = logging.getLogger(__name__)

PIECE_ROWS = 1 << 15
"""Rows read from a mapped store between two looks at the inbox."""


class WorkerRows:
    """The loaded rows of one assignment and the gradients they give."""

    def __init__(self, rows: LocalRows, objective: Objective) -> None:
        self._rows = rows
        self._objective = objective
        self.n_rows = rows.n_rows
        self.n_parts = rows.n_messages
        self.support = rows.support

    def gradient(self, part: int, theta: npt.NDArray[Any]) -> CodedGradient:
        """Return the computation of one part of the result for this model."""
        return CodedGradient(self._rows, self._objective, theta, part)


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
        for i, (lo, hi) in enumerate(assign.row_ranges.tolist()):
            cached = None if train is not None else self._from_cache(lo, hi)
            if cached is not None:
                self._add(i, cached)
                yield None
                continue
            if train is None:
                self._builder = None
                raise DataError(f"rows {lo} to {hi} are not on this machine")
            for first in range(lo, hi, PIECE_ROWS):
                self._add(i, train.rows(first, min(first + PIECE_ROWS, hi)))
                yield None
        yield self._rows()

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
        """Yield the rows once all chunks are in."""
        yield self._rows()

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
        self._builder.add(
            rows.indptr,
            rows.indices,
            rows.values,
            rows.labels,
            self._assign.coefficients[:, :, index],
        )

    def _rows(self) -> WorkerRows:
        assert self._assign is not None
        assert self._builder is not None
        objective = OBJECTIVES.build(self._assign.objective)
        rows = WorkerRows(self._builder.finish(), objective)
        self._builder = None
        return rows

    def _open(self, assign: Assign) -> CsrRows | None:
        """Return the training rows of the store if it is here and the right one."""
        location = self._store or assign.store
        if location is None:
            return None
        try:
            store = Store.open(location)
        except DataError as error:
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
        return self._cache / self._assign.digest / f"rows-{lo}-{hi}.npz"

    def _from_cache(self, lo: int, hi: int) -> CsrRows | None:
        path = self._file(lo, hi)
        if path is None or not path.exists():
            return None
        assert self._assign is not None
        try:
            with np.load(path, allow_pickle=False) as kept:
                return CsrRows(
                    indptr=kept["indptr"],
                    indices=kept["indices"],
                    values=kept["values"] if "values" in kept.files else None,
                    labels=kept["labels"],
                    n_columns=self._assign.columns,
                )
        except (OSError, ValueError, KeyError) as error:
            log.warning("cached rows %s are damaged and will be fetched again: %s", path, error)
            path.unlink(missing_ok=True)
            return None

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
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            log.warning("cannot keep streamed rows in %s: %s", path.parent, error.strerror)
