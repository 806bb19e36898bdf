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
from erasurehead.errors import DataError, ErasureHeadError, UsageError, reason_of
from erasurehead.models.batches import Batches
from erasurehead.models.partial_sums import PartialSums, PartialSumsBuilder
from erasurehead.process.durable import replace_file
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign, Task
from erasurehead_worker.machine.actions import Load

log = logging.getLogger(__name__)

PIECE_ROWS = 1 << 15
"""Rows read from a mapped store between two looks at the inbox."""

OPTIONAL = ("values", "weights", "offsets")
"""Arrays that rows need not have."""

_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading an archive of arrays raises when it was cut off, changed or is something else."""


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
                if train is None:
                    pieces = self._from_cache(assign, lo, hi)
                else:
                    pieces = _pieces(train, lo, hi)
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
                self._keep(load.assign, index, self._chunks)
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

    def _file(self, assign: Assign, lo: int, hi: int) -> Path | None:
        if self._cache is None:
            return None
        if not assign.digest.isalnum():
            return None  # it came over the wire, and must not lead out of the cache
        return self._cache / assign.digest / f"rows-{lo}-{hi}.npz"

    def _from_cache(self, assign: Assign, lo: int, hi: int) -> Iterator[CsrRows]:
        """Yield the rows of one task.

        Raises
        ------
        DataError: they are not kept, or no longer whole; ask the master for them.
        """
        path = self._file(assign, lo, hi)
        missing = DataError(f"rows {lo} to {hi} are not on this machine")
        if path is None:
            raise missing
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                rows = CsrRows(
                    indptr=kept["indptr"],
                    indices=kept["indices"],
                    labels=kept["labels"],
                    n_columns=assign.columns,
                    **{name: kept[name] if name in kept.files else None for name in OPTIONAL},
                )
        except FileNotFoundError:
            raise missing from None
        except _DAMAGED as error:
            log.warning("kept rows %s cannot be read and are asked for again: %s", path, error)
            raise missing from None
        yield rows

    def _keep(self, assign: Assign, index: int, chunks: list[Task]) -> None:
        """Write a whole streamed task; a half-written file is never found under its name."""
        lo, hi = assign.row_ranges[index].tolist()
        path = self._file(assign, lo, hi)
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
        for name in OPTIONAL:
            pieces = [getattr(chunk, name) for chunk in chunks]
            if pieces[0] is not None:
                arrays[name] = np.concatenate(pieces)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda file: np.savez(file, **arrays), partial)  # type: ignore[arg-type]
        except OSError as error:
            log.warning("cannot keep streamed rows in %s: %s", path.parent, reason_of(error))


def _pieces(train: CsrRows, lo: int, hi: int) -> Iterator[CsrRows]:
    """Yield rows lo to hi - 1 in pieces."""
    for first in range(lo, hi, PIECE_ROWS):
        yield train.rows(first, min(first + PIECE_ROWS, hi))
