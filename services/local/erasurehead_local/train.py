"""`erasurehead train`: one run with a master in this process and workers as its children."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from erasurehead.datasets.store import Store
from erasurehead.process.descriptors import check_room_for
from erasurehead.records import Observer, RunSummary
from erasurehead.settings.plugins import loaded_plugins
from erasurehead.settings.tree import RunSettings, WorkerSettings
from erasurehead_local.address import own_address
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.hatching import Hatching
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.machine.events import Departed, Event
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.run.seams import Rating
from erasurehead_master.shell.loop import Watched
from erasurehead_master.shell.main import host


def train(
    settings: RunSettings,
    observers: Sequence[Observer],
    resume: Snapshot | None = None,
    started: Callable[[LocalCluster], None] | None = None,
    turns: int | None = None,
) -> RunSummary:
    """Plan a run on this machine, and run it to the end; see `run_planned`.

    Raises
    ------
    UsageError, DataError: the settings or the store do not fit; nothing was started.
    """
    return run_planned(plan_here(settings), observers, resume, started, turns)


def plan_here(settings: RunSettings, store: Store | None = None) -> PlannedRun:
    """Plan a run with workers on this machine; `store` is that of the settings, if it is open.

    Raises
    ------
    UsageError, DataError: the settings or the store do not fit.
    """
    check_room_for(settings.coding.workers)
    store = store or Store.open(settings.problem.store)
    return PlannedRun.of(settings, store, str(store.path))


def run_planned(
    planned: PlannedRun,
    observers: Sequence[Observer],
    resume: Snapshot | None = None,
    started: Callable[[LocalCluster], None] | None = None,
    turns: int | None = None,
    hatching: Hatching | None = None,
    rating: Rating | None = None,
    cluster: LocalCluster | None = None,
) -> RunSummary:
    """Run as many worker processes as the plan has slots, and a master, and wait for the end.

    Parameters
    ----------
    resume: the checkpoint to go on from.
    started: is given the cluster once its workers are under way.
    turns: how many of them may be at a long computation at the same time (0: any number; None: one
        for each core).
    hatching: the workers' nursery, if its process is under way already.
    rating: rates models at the rounds of evaluation; None: the metrics on the test rows.
    cluster: which is to be used instead of a plain one, and not entered yet.
    """
    begun = time.monotonic()
    turns = turns_of(planned) if turns is None else turns
    with cluster or LocalCluster(turns=turns, hatching=hatching) as cluster:
        return run_on(cluster, planned, observers, resume, started, begun=begun, rating=rating)


def turns_of(planned: PlannedRun) -> int | None:
    """Return how many workers of a run should be at a long computation at the same time.

    0 stands for any number, None for one for each core.
    """
    plan = planned.plan
    # Where rounds wait for every worker, being the first to finish is worth nothing.
    return 0 if plan.exact and plan.code.tolerance == 0 else None


def run_on(
    cluster: LocalCluster,
    planned: PlannedRun,
    observers: Sequence[Observer],
    resume: Snapshot | None = None,
    started: Callable[[LocalCluster], None] | None = None,
    *,
    begun: float,
    rating: Rating | None = None,
) -> RunSummary:
    """Run a plan with workers of a nursery that is there, and has none; see `run_planned`.

    Parameters
    ----------
    begun: `time.monotonic()` when the work for this run began.
    """

    def attach(address: str) -> Watched:
        cluster.start(
            [
                WorkerSettings(connect=address, name=f"local-{i}", slot=i, plugin=loaded_plugins())
                for i in range(planned.plan.settings.coding.workers)
            ]
        )
        if started is not None:
            started(cluster)
        return cluster.fileno(), departures

    def departures() -> list[Event]:
        ended = [(name, code, f"ended with code {code}") for name, code in cluster.poll()]
        if ended and cluster.deserted:
            *ended, (name, _, why) = ended
            last = [Departed(name, why, last=True)]
        else:
            last = []
        # A worker that ended well has said GOODBYE.
        return [*(Departed(name, why) for name, code, why in ended if code != 0), *last]

    return host(planned, own_address(), observers, begun, attach, resume, rating=rating)
