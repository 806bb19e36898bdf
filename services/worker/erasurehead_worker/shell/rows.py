"""A worker's rows: from the store itself, from a cache on disk, or streamed by the master."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, ErasureHeadError, UsageError
from erasurehead.models.batches import Batches
from erasurehead.models.partial_sums import PartialSums, PartialSumsBuilder
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign, Task
from erasurehead_worker.machine.actions import Load
from erasurehead_worker.shell.row_cache import RowCache

log = logging.getLogger(__name__)

PIECE_ROWS = 1 << 15
"""Rows read from a mapped store between two looks at the inbox."""


class RowSource:
    """Reads the rows of an assignment, wherever they can be had.

    Parameters
    ----------
    store: where this machine has the store, instead of where the master says.
    cache: directory that keeps streamed rows by the store's digest.
    """

    def __init__(self, store: str | None = None, cache: Path | None = None) -> None:
        self._store = store
        self._cache = None if cache is None else RowCache(cache)
        self._load: Load | None = None
        self._builder: PartialSumsBuilder | None = None
        self._chunks: list[Task] = []
        """Of the task being streamed, for the cache."""

    def read(self, load: Load) -> Iterator[PartialSums | None]:
        """Yield None after each piece and the sums over the rows at the end.

        Raises
        ------
        ErasureHeadError: the rows cannot be read here; ask the master for them.
        """
        self._load, assign = load, load.assign
        self._builder = None
        train = self._open(assign)
        builder = self._begin(load)
        try:
            for i, (lo, hi) in enumerate(assign.row_ranges.tolist()):
                pieces = self._cached(assign, lo, hi) if train is None else _pieces(train, lo, hi)
                for rows in pieces:
                    builder.add(i, rows)
                    yield None
        except ErasureHeadError:
            # What was read so far must not be mixed with what the master will send instead.
            self._builder = None
            raise
        yield from self.finish()

    def feed(self, task: Task) -> None:
        """Take one streamed chunk; chunks of a task come in order, tasks in the order held."""
        load = self._load
        assert load is not None
        builder = self._builder or self._begin(load)
        rows = CsrRows(
            indptr=task.indptr,
            indices=task.indices,
            values=task.values,
            labels=task.labels,
            n_columns=load.assign.columns,
            weights=task.weights,
            offsets=task.offsets,
        )
        index = int(np.searchsorted(load.assign.tasks, task.task))
        builder.add(index, rows)
        if self._cache is not None:
            self._chunks.append(task)
            if task.chunk + 1 == task.chunks:
                self._cache.keep(load.assign, index, self._chunks)
                self._chunks = []

    def finish(self) -> Iterator[PartialSums | None]:
        """Yield None after each piece and the sums at the end, once all chunks are in."""
        assert self._builder is not None
        builder, self._builder = self._builder, None
        yield from builder.steps()

    def _begin(self, load: Load) -> PartialSumsBuilder:
        assign = load.assign
        self._chunks = []
        batches = Batches.of(assign.batch, assign.batch_seed, assign.row_ranges)
        self._builder = PartialSumsBuilder(
            load.model, assign.coefficients, assign.dense_share, batches
        )
        return self._builder

    def _cached(self, assign: Assign, lo: int, hi: int) -> Iterator[CsrRows]:
        rows = None if self._cache is None else self._cache.rows(assign, lo, hi)
        if rows is None:
            raise DataError(f"rows {lo} to {hi} are not on this machine")
        yield rows

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


def _pieces(train: CsrRows, lo: int, hi: int) -> Iterator[CsrRows]:
    """Yield rows lo to hi - 1 in pieces."""
    for first in range(lo, hi, PIECE_ROWS):
        yield train.rows(first, min(first + PIECE_ROWS, hi))
