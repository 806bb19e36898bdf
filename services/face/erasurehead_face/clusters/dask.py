"""`erasurehead.dask.train`: a run with workers on a Dask cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from erasurehead.records import Observer
from erasurehead_face.clusters.starting import Arguments, missing, train_on
from erasurehead_face.running.arguments import Settings
from erasurehead_face.running.run import Run


def train(
    client: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    offset: Any = None,
    test: tuple[Any, Any] | None = None,
    bind: str | None = None,
    insecure: bool = False,
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Run:
    """Train with workers on a Dask cluster, and return the run when it is over.

    The master is in this process, and each Dask worker has as many workers as it has threads at
    most. A Dask worker that joins while the run goes on helps, too. Workers open a store by its
    path or URL; those that cannot, and all if there are arrays, get their rows from the master.

    Parameters
    ----------
    client: a `distributed.Client`.
    X, y, sample_weight, offset, test, progress, observers, config: as for `erasurehead.train`.
    bind: the address to listen on, ``tcp://host:port``; None: the one under which the Dask workers
        are likely to reach this process, and any port.
    insecure: send everything in the clear where other machines reach that address, and take every
        process that connects for a worker; else the run makes keys for itself.
    settings: as for `erasurehead.train`, apart from `workers`, which are as many as the cluster has
        threads unless they are given.

    Returns
    -------
    The run, as `erasurehead.train` does.

    Raises
    ------
    UsageError: an argument, the data or the cluster does not fit, in one sentence; nothing was
        started.
    RunError: the run diverged or lost all its workers, or Dask has given it up.
    """
    try:
        from erasurehead_engines.dask import Dask
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        raise missing("Dask", "distributed", "dask") from None
    return train_on(
        Dask(client),
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
