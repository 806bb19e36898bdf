"""`eh.train`: a run on arrays or a store, with workers as processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from erasurehead.records import Observer
from erasurehead_face.running.arguments import Settings
from erasurehead_face.running.problem import Problem
from erasurehead_face.running.run import Run
from erasurehead_face.running.watching import watched
from erasurehead_local.hatching import Hatching


def train(
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    offset: Any = None,
    test: tuple[Any, Any] | None = None,
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Run:
    """Train with worker processes on this machine and return the run when it is over.

    Settings are those of ``erasurehead train`` (docs/settings.md), with the same names, values,
    defaults and sources: environment variables count, and a file that `config` names.

    Parameters
    ----------
    X: a matrix of shape (rows, columns): an array, a scipy sparse matrix or a data frame of
        numbers; or the path or URL of a store. It is not changed.
    y: labels of shape (rows,), classes or numbers; None for a store.
    sample_weight, offset: one number a row: what it counts for, and what is added to its margin.
    test: a matrix and its labels, on which the model is rated as it goes.
    progress: whether to show the run as it goes; None: where a person looks, in a terminal or a
        notebook.
    observers: are told what happens, as it happens.
    config: a YAML file of settings.

    Returns
    -------
    The run. One that was interrupted (Ctrl-C, the notebook's Interrupt) is returned as well: its
    model is as far as it came, and `Run.interrupted` is true.

    Raises
    ------
    UsageError: an argument or the data is wrong, in one sentence; nothing was started.
    RunError: the run diverged or lost all its workers.
    """
    with Hatching() as hatching:  # imports what workers need while the run is planned
        problem = Problem.of(X, y, settings, config, sample_weight, offset, test)
        with watched(observers, progress) as watching:
            return problem.run_here(watching, hatching)
