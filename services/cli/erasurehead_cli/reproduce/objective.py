"""The training objective of a model on all rows, exactly."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.models.objectives import OBJECTIVES
from erasurehead.runs import Run
from erasurehead_master.keep.checkpoint import DIRECTORY, CheckpointDirectory

CHUNK_ROWS = 1 << 14


def model_after(run: Run, rounds: int) -> FloatArray | None:
    """Return the model a gradient-descent run had after so many rounds, shape (columns,).

    None if the run ended sooner, or left no checkpoint of just that round.
    """
    assert run.summary is not None
    if run.summary.rounds == rounds:
        return run.theta
    snapshot, _ = CheckpointDirectory(run.path / DIRECTORY, 1).load(rounds)
    if snapshot is None or snapshot.round != rounds:
        return None
    theta: FloatArray = snapshot.part("optimizer")["theta"]
    return theta


def training_objective(store: Store, theta: FloatArray) -> float:
    """Return the mean loss over the training rows."""
    objective = OBJECTIVES.build(store.manifest.task)
    n_rows = store.manifest.rows
    total = 0.0
    for lo in range(0, n_rows, CHUNK_ROWS):
        rows = store.train.rows(lo, min(lo + CHUNK_ROWS, n_rows))
        total += float(np.sum(objective.loss(rows.matrix() @ theta, np.asarray(rows.labels))))
    return total / n_rows
