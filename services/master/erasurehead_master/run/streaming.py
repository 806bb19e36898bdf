"""Rows for workers that cannot read the store themselves."""

from __future__ import annotations

import numpy as np

from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Task
from erasurehead_master.machine.plan import RunPlan


class TaskStreamer:
    """Cuts tasks into chunks. Stateless: the worker asks for one chunk after another.

    `plan` is replaced when the code is rebuilt.
    """

    def __init__(self, plan: RunPlan, rows: CsrRows) -> None:
        self.plan = plan
        self._rows = rows

    def chunk(self, epoch: int, task: int, chunk: int) -> Task:
        """Return one chunk of a task's rows as a message."""
        rows = self._rows.rows(*self.plan.chunk_range(task, chunk))
        return Task(
            epoch=epoch,
            task=task,
            chunk=chunk,
            chunks=self.plan.n_chunks(task),
            indptr=np.asarray(rows.indptr, dtype=np.int64),
            indices=np.asarray(rows.indices),
            labels=np.asarray(rows.labels),
            values=None if rows.values is None else np.asarray(rows.values),
        )
