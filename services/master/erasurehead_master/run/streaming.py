"""Rows for workers that cannot read the store themselves."""

from __future__ import annotations

import numpy as np

from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Task
from erasurehead_master.machine.actions import SendTask


class TaskStreamer:
    """Reads rows chunk by chunk. Stateless: the worker asks for one chunk after another.

    Parameters
    ----------
    rows: the training rows, mapped.
    """

    def __init__(self, rows: CsrRows) -> None:
        self._rows = rows

    def chunk(self, asked: SendTask) -> Task:
        """Return one chunk of a task's rows as a message."""
        rows = self._rows.rows(*asked.rows)
        return Task(
            epoch=asked.epoch,
            task=asked.task,
            chunk=asked.chunk,
            chunks=asked.chunks,
            indptr=np.asarray(rows.indptr, dtype=np.int64),
            indices=np.asarray(rows.indices),
            labels=np.asarray(rows.labels),
            values=None if rows.values is None else np.asarray(rows.values),
            weights=None if rows.weights is None else np.asarray(rows.weights),
            offsets=None if rows.offsets is None else np.asarray(rows.offsets),
        )
