"""Streamed rows that a worker keeps on disk, so that they are sent to its machine once."""

from __future__ import annotations

import logging
import secrets
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.errors import reason_of
from erasurehead.process.durable import replace_file
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign, Task

log = logging.getLogger(__name__)

OPTIONAL = ("values", "weights", "offsets")
"""Arrays that rows need not have."""

_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading an archive of arrays raises when it was cut off, changed or is something else."""


class RowCache:
    """Rows of tasks, a file for each, by the digest of their store.

    Parameters
    ----------
    directory: made when something is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def rows(self, assign: Assign, lo: int, hi: int) -> CsrRows | None:
        """Return the rows lo to hi - 1 of a store; None: they are not kept, or no longer whole."""
        path = self._file(assign, lo, hi)
        if path is None:
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return CsrRows(
                    indptr=kept["indptr"],
                    indices=kept["indices"],
                    labels=kept["labels"],
                    n_columns=assign.columns,
                    **{name: kept[name] if name in kept.files else None for name in OPTIONAL},
                )
        except FileNotFoundError:
            return None
        except _DAMAGED as error:
            log.warning("kept rows %s cannot be read and are asked for again: %s", path, error)
            return None

    def keep(self, assign: Assign, index: int, chunks: Sequence[Task]) -> None:
        """Write a whole streamed task, unless the disk does not take it.

        A file that is only half written is never found under its name.

        Parameters
        ----------
        index: of the task among those that are assigned.
        chunks: all that the master sent of it.
        """
        lo, hi = assign.row_ranges[index].tolist()
        path = self._file(assign, lo, hi)
        if path is None:
            return
        lengths = np.concatenate([np.diff(chunk.indptr) for chunk in chunks])
        arrays: dict[str, npt.NDArray[Any]] = {
            "indptr": np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            "indices": np.concatenate([chunk.indices for chunk in chunks]),
            "labels": np.concatenate([chunk.labels for chunk in chunks]),
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

    def _file(self, assign: Assign, lo: int, hi: int) -> Path | None:
        """Return where rows are kept; None: the digest, which came over the wire, names no folder
        and might lead out of the directory."""
        if not assign.digest.isalnum():
            return None
        return self._directory / assign.digest / f"rows-{lo}-{hi}.npz"
