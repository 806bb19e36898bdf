"""One run of the master, from its settings to its summary."""

from __future__ import annotations

import logging
import resource
import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import zmq

from erasurehead.datasets.store import Store
from erasurehead.models.scoring import Evaluator
from erasurehead.network import sockets
from erasurehead.network.backlog import Backlog
from erasurehead.network.curve import AllowedKeys, MasterKeys, read_secret
from erasurehead.network.gate import Gate
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.records import Observer, RunSummary
from erasurehead.settings.groups import HttpSettings, MasterKeySettings
from erasurehead.settings.tree import MasterSettings, RunSettings
from erasurehead.wire.frames import MAX_HEADER_BYTES
from erasurehead_master.keep.checkpoint import (
    DIRECTORY,
    CheckpointDirectory,
    CheckpointWriter,
    Snapshot,
)
from erasurehead_master.keep.checkpointing import CheckpointKeeper
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.table import Phase
from erasurehead_master.run.conductor import Conductor
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import NO_TIMES
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_master.run.streaming import TaskStreamer
from erasurehead_master.run.two_cores import TwoCores
from erasurehead_master.shell.allocator import keep_freed_memory
from erasurehead_master.shell.door import Door
from erasurehead_master.shell.loop import MasterLoop, Watched
from erasurehead_master.shell.notices import LoggedNotices
from erasurehead_master.shell.post import SocketPost

log = logging.getLogger(__name__)

DESCRIPTORS_BESIDES = 256
"""Descriptors for everything that is no connection of a peer."""

KERNEL_BUFFER_BYTES = 8 << 20
"""What a kernel usually holds at most for one connection."""


def serve(
    settings: MasterSettings, observers: Sequence[Observer], resume: Snapshot | None = None
) -> RunSummary:
    """Run the master for workers that connect to `settings.bind`.

    Raises
    ------
    UsageError, DataError: the settings or the store do not fit.
    BindError: the address cannot be had.
    """
    begun = time.monotonic()
    keys = read_keys(settings.keys)
    store = Store.open(settings.problem.store)
    reference = settings.problem.store if settings.share_store else None
    plan = make_plan(settings, store, reference, None if resume is None else resume.run)
    return host(plan, store, settings.bind, observers, begun, resume=resume, keys=keys)


def read_keys(settings: MasterKeySettings) -> MasterKeys | None:
    """Return the master's keys, or None when there are none.

    Raises
    ------
    UsageError: a file or the directory is not as it should be.
    """
    if settings.secret is None or settings.workers is None:
        return None
    allowed = AllowedKeys(settings.workers)
    return MasterKeys(read_secret(settings.secret), allowed, settings.recheck_s)


def host(
    plan: RunPlan,
    store: Store,
    address: str,
    observers: Sequence[Observer],
    begun: float,
    attach: Callable[[str], Watched] | None = None,
    resume: Snapshot | None = None,
    keys: MasterKeys | None = None,
) -> RunSummary:
    """Bind, run and clean up.

    Parameters
    ----------
    begun: `time.monotonic()` when the work for this run began.
    attach: called with the bound address, to start workers; returns a descriptor to poll and what
        reads its news.
    resume: the checkpoint to go on from.
    keys: with them every connection is encrypted, and only allowed workers get one.
    """
    settings: RunSettings = plan.settings
    wire = settings.wire
    keep_freed_memory()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    _make_room_for(settings.max_connections)
    largest = _largest_frame_bytes(plan)
    gate = Gate(context, keys, settings.max_connections, _backlog(settings, largest))
    try:
        socket = sockets.bind_router(
            context,
            address,
            high_water_mark=wire.high_water_mark,
            max_frame_bytes=largest,
            handshake_s=settings.limits.handshake_s,
            keys=keys,
            gate=gate,
        )
        try:
            bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
            with SignalWatch() as signals, ExitStack() as stack:
                first_round = 1 if resume is None else resume.round + 1
                machine = Master(plan, time.monotonic(), first_round)
                pulse = Pulse(settings.http.stalled_after_s)
                monitoring = _monitor(settings.http, machine, pulse, stack)
                watched = [] if attach is None else [attach(bound)]
                # Workers load their rows meanwhile.
                descent = make_descent(plan, store.train, TwoCores().do)
                if resume is not None:
                    restore(machine, descent, resume)
                evaluator = Evaluator(store.test, plan.model)
                door = Door(gate, settings.limits, settings.max_connections)
                post = SocketPost(socket, door)
                conductor = Conductor(
                    machine,
                    descent,
                    post,
                    clock=time.monotonic,
                    stopwatch=time.perf_counter,
                    observers=[LoggedNotices(), *monitoring, *observers],
                    rating=evaluator.steps if evaluator else None,
                    read_rows=TaskStreamer(store.train).chunk,
                    keeper=_keeper(machine, descent, first_round - 1),
                    begun=begun,
                    resumed=NO_TIMES if resume is None else resume.times,
                )
                loop = MasterLoop(conductor, post, door, signals, watched, pulse, settings)
                summary = loop.run()
                if _may_rest(settings) and summary.rounds >= settings.descent.rounds:
                    gate.let_go(socket)
                    socket.close()  # workers that come now find no master, rather than a deaf one
                    _linger(signals, pulse)
                return summary
        finally:
            gate.let_go(socket)
            socket.close()
    finally:
        gate.close()
        context.term()


def _make_room_for(connections: int) -> None:
    """Raise the soft limit of descriptors where the hard one allows it.

    libzmq spins when it cannot accept what waits, and nobody could write a checkpoint.
    """
    needed = connections + DESCRIPTORS_BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        log.warning(
            "this process may have %d descriptors, too few for %d connections; raise the limit"
            " (ulimit -n) or lower limits.max_connections",
            hard,
            connections,
        )
        needed = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _largest_frame_bytes(plan: RunPlan) -> int:
    """Return what no frame of an honest worker exceeds: a header, a support or a result.

    libzmq makes room for a frame as soon as its length is announced, so a tight limit is what
    keeps somebody without a word of the protocol from filling the memory.
    """
    largest = 8 * plan.n_parameters * max(4, plan.code.n_vectors)
    return min(plan.settings.wire.max_frame_bytes, max(largest, 2 * MAX_HEADER_BYTES))


def _backlog(settings: RunSettings, largest_frame_bytes: int) -> Backlog:
    """Return the limit of what may wait: full queues of everybody, and the kernel's own buffers."""
    message = largest_frame_bytes + 2 * MAX_HEADER_BYTES
    most = (settings.wire.high_water_mark + 2) * message + KERNEL_BUFFER_BYTES
    return Backlog(most, 2 * settings.coding.workers * message + 8 * most)


def restore(machine: Master, descent: Descent, snapshot: Snapshot) -> None:
    """Go on from a checkpoint, with its tasks where they were placed last; an elastic run goes on
    with the code that it had come to. What belongs to a code of another size is learnt anew.

    Raises
    ------
    DataError: it is of another model size or method.
    """
    machine.membership.set_aside.update(map(str, snapshot.part("members").get("set_aside", ())))
    code = snapshot.part("code")
    size = int(code.get("n_workers", 0))
    if size not in (0, machine.plan.code.n_workers) and machine.plan.settings.refit.elastic:
        plan = machine.plan.resized(size)
        machine.go_on_with(plan, snapshot.round)
        descent.rebuild(plan)
    same_code = size == machine.plan.code.n_workers
    if same_code and "probabilities" in code and machine.plan.coding.places_by is not None:
        plan = machine.plan.placed_by(code["probabilities"])
        machine.go_on_with(plan, int(code["placed_round"]))
        descent.rebuild(plan)
    descent.load_state(snapshot.part, same_code=same_code)
    if same_code:
        machine.training.rounds.stop.load_state(snapshot.part("stop"))


def _keeper(machine: Master, descent: Descent, resumed_round: int) -> CheckpointKeeper | None:
    """Return what takes the checkpoints of a run that has a directory.

    `resumed_round` is the round that the run goes on from.
    """
    settings = machine.plan.settings
    if settings.run.out is None:
        return None
    directory = CheckpointDirectory(settings.run.out / DIRECTORY, settings.checkpoint.keep)
    try:
        directory.forget_beyond(resumed_round)
    except OSError as error:
        log.warning(
            "cannot remove old checkpoints from %s (%s), and new ones may be pruned in their place;"
            " remove those beyond round %d",
            directory.path,
            error.strerror,
            resumed_round,
        )
    writer = CheckpointWriter(directory)
    return CheckpointKeeper(settings.checkpoint, writer, descent, machine, time.monotonic())


def _monitor(http: HttpSettings, machine: Master, pulse: Pulse, stack: ExitStack) -> list[Observer]:
    """Serve metrics and health while `stack` is open, if an address is configured."""
    if http.bind is None:
        return []
    # Not loaded by runs that nobody watches over HTTP.
    from erasurehead.monitoring.http import HealthServer
    from erasurehead_master.watch.exporter import MasterMetrics, endpoints

    metrics = MasterMetrics(machine)
    server = stack.enter_context(HealthServer(http.bind, endpoints(machine, metrics, pulse)))
    log.info("metrics and health at %s", server.url)
    return [metrics]


def rest(settings: RunSettings) -> None:
    """Answer for a run that was finished before, until SIGTERM, where that is asked for."""
    if not _may_rest(settings):
        return
    from prometheus_client import CollectorRegistry

    from erasurehead.monitoring.http import Endpoints, HealthServer

    assert settings.http.bind is not None
    pulse = Pulse(settings.http.stalled_after_s)
    about = {"phase": Phase.FINISHED.value}
    endpoints = Endpoints(CollectorRegistry(), pulse.healthy, lambda: (False, about))
    with SignalWatch() as signals, HealthServer(settings.http.bind, endpoints):
        _linger(signals, pulse)


def _may_rest(settings: RunSettings) -> bool:
    return settings.http.linger and settings.http.bind is not None


def _linger(signals: SignalWatch, pulse: Pulse) -> None:
    """Keep metrics and health up until somebody wants this process to end."""
    log.info("the run is over; answering over HTTP until SIGTERM")
    while signals.take() is None:
        select.select([signals], [], [], 1.0)
        pulse.beat()
