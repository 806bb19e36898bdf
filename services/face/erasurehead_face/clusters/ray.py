"""`erasurehead.ray.train`: a run with workers on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from erasurehead.records import Observer
from erasurehead_face.clusters.starting import Arguments, missing, train_on
from erasurehead_face.running.arguments import Settings
from erasurehead_face.running.run import Run


def train(
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    offset: Any = None,
    test: tuple[Any, Any] | None = None,
    spread: bool = False,
    bind: str | None = None,
    insecure: bool = False,
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Run:
    """Train with workers on a Ray cluster, and return the run when it is over.

    The master is in this process, and each worker is an actor that takes up one CPU. Ray starts the
    actors of a lost node again where there is room, and they then help as before. Workers open a
    store by its path or URL; those that cannot, and all if there are arrays, get their rows from
    the master.

    Parameters
    ----------
    X, y, sample_weight, offset, test, progress, observers, config: as for `erasurehead.train`.
    spread: put the workers on as many nodes as possible, in a placement group.
    bind: the address to listen on, ``tcp://host:port``; None: the one under which the nodes are
        likely to reach this process, and any port.
    insecure: send everything in the clear where other machines reach that address, and take every
        process that connects for a worker; else the run makes keys for itself.
    settings: as for `erasurehead.train`, apart from `workers`, which are as many as the cluster has
        CPUs unless they are given.

    Returns
    -------
    The run, as `erasurehead.train` does.

    Raises
    ------
    UsageError: an argument, the data or the cluster does not fit, in one sentence; nothing was
        started.
    RunError: the run diverged or lost all its workers, or Ray was shut down.
    """
    try:
        from erasurehead_engines.ray import Ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise missing("Ray", "ray", "ray") from None
    return train_on(
        Ray(spread=spread),
        Arguments(
            X,
            y,
            sample_weight,
            offset,
            test,
            bind,
            insecure,
            progress,
            observers,
            config,
            settings,
        ),
    )
