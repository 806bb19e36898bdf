"""The training objective of a model on all rows, exactly."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.models import MODELS, default_model
from erasurehead.models.scoring import mean_loss
from erasurehead.runs import Run
from erasurehead_master.keep.checkpoint import DIRECTORY, CheckpointDirectory


def model_after(run: Run, rounds: int) -> FloatArray | None:
    """Return the model a gradient-descent run had after so many rounds, shape (n_parameters,).

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
    name, labels = default_model(store.manifest.target), np.asarray(store.train.labels)
    model = MODELS.build(name, store.manifest.columns, labels)
    return mean_loss(store.train, model, theta)
