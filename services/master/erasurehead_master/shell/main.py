"""One run of the master, from its settings to its summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from erasurehead.datasets.store import Store
from erasurehead.models.scoring import Evaluator
from erasurehead.network.curve import MasterKeys
from erasurehead.process.descriptors import check_room_for
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.records import Observer, RunSummary
from erasurehead.settings.tree import MasterSettings
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.keep.checkpointing import make_keeper
from erasurehead_master.keep.restore import restore
from erasurehead_master.keep.resume import is_done
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.conductor import Conductor
from erasurehead_master.run.finishing import make_finishing
from erasurehead_master.run.ledger import NO_TIMES
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.run.seams import Rating
from erasurehead_master.run.setup import make_descent
from erasurehead_master.run.streaming import TaskStreamer
from erasurehead_master.run.two_cores import TwoCores
from erasurehead_master.shell.allocator import keep_freed_memory
from erasurehead_master.shell.door import Door
from erasurehead_master.shell.listening import Listener, read_keys
from erasurehead_master.shell.loop import MasterLoop, Watched
from erasurehead_master.shell.notices import LoggedNotices
from erasurehead_master.shell.post import SocketPost
from erasurehead_master.shell.resting import linger, may_rest
from erasurehead_master.watch.monitor import monitor


def plan_serving(settings: MasterSettings) -> PlannedRun:
    """Plan a run with workers on other machines.

    Raises
    ------
    UsageError, DataError: the settings or the store do not fit.
    """
    check_room_for(settings.coding.workers)
    store = Store.open(settings.problem.store)
    reference = settings.problem.store if settings.share_store else None
    return PlannedRun.of(settings, store, reference)


def serve(
    settings: MasterSettings,
    planned: PlannedRun,
    observers: Sequence[Observer],
    resume: Snapshot | None = None,
) -> RunSummary:
    """Run the master of a planned run for workers that connect to `settings.bind`.

    Raises
    ------
    UsageError: a key is not as it should be.
    BindError: the address cannot be had.
    """
    begun, keys = time.monotonic(), read_keys(settings.keys)
    address = settings.bind
    return host(planned, address, observers, begun, resume=resume, keys=keys)


def host(
    planned: PlannedRun,
    address: str,
    observers: Sequence[Observer],
    begun: float,
    attach: Callable[[str], Watched] | None = None,
    resume: Snapshot | None = None,
    keys: MasterKeys | None = None,
    rating: Rating | None = None,
    announce: Callable[[str], None] | None = None,
) -> RunSummary:
    """Bind, run and clean up.

    Parameters
    ----------
    begun: `time.monotonic()` when the work for this run began.
    attach: called with the bound address, to start workers; returns a descriptor to poll and what
        reads its news.
    resume: the checkpoint to go on from.
    keys: with them every connection is encrypted, and only allowed workers get one.
    rating: rates models at the rounds of evaluation; None: the metrics on the test rows.
    announce: called with the bound address, to tell workers of it; they are told of the next
        master in the same way, if this one is asked to end.
    """
    plan, store = planned.plan, planned.store
    if resume is not None:
        plan = replace(plan, run=resume.run)
    settings = plan.settings
    first_round = 1 if resume is None else resume.round + 1
    keep_freed_memory()
    with Listener(plan, address, keys) as listener, SignalWatch() as signals, ExitStack() as stack:
        # A supervisor that starts a master with --resume starts it again.
        succeeded = announce is not None or (settings.run.resume and attach is None)
        machine = Master(plan, time.monotonic(), first_round, succeeded=succeeded)
        pulse = Pulse(settings.http.stalled_after_s)
        monitoring = monitor(settings.http, machine, pulse, stack)
        watched = [] if attach is None else [attach(listener.bound)]
        if announce is not None:
            announce(listener.bound)
        # Workers load their rows meanwhile.
        descent = make_descent(plan, store.train, TwoCores().do, store.column_squares)
        finishing = make_finishing(plan, descent, rated=bool(store.manifest.test_rows))
        if resume is not None:
            restore(machine, descent, finishing, resume)
        evaluator = Evaluator(store.test, plan.model)
        door = Door(listener.gate, settings.limits, settings.max_connections)
        post = SocketPost(listener.socket, door)
        watchers: list[Observer] = [LoggedNotices(), *monitoring, *observers]
        if attach is None:
            where = f"listening on {listener.bound} for {settings.coding.workers} workers"
            for watcher in watchers:
                watcher.notice("info", where)
        conductor = Conductor(
            machine,
            descent,
            post,
            clock=time.monotonic,
            stopwatch=time.perf_counter,
            observers=watchers,
            rating=rating or (evaluator.steps if evaluator else None),
            read_rows=TaskStreamer(store.train).chunk,
            finishing=finishing,
            keeper=make_keeper(machine, descent, finishing, first_round - 1, time.monotonic()),
            begun=begun,
            resumed=NO_TIMES if resume is None else resume.times,
        )
        summary = MasterLoop(conductor, post, door, signals, watched, pulse, settings).run()
        if may_rest(settings) and is_done(settings, summary):
            listener.close()
            linger(signals, pulse)
        return summary
