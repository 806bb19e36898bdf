"""One worker process, from its settings to its exit code."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from contextlib import ExitStack

import numpy as np
import zmq

from erasurehead.network import sockets
from erasurehead.network.curve import WorkerKeys, read_public, read_secret
from erasurehead.network.handshakes import Handshakes
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.process.version import installed_version
from erasurehead.settings.groups import HttpSettings, WorkerKeySettings
from erasurehead.settings.tree import WorkerSettings
from erasurehead.wire.messages import PROTOCOL_VERSION, Hello
from erasurehead_worker.machine.machine import Worker
from erasurehead_worker.shell.loop import WorkerLoop
from erasurehead_worker.shell.rows import RowSource
from erasurehead_worker.shell.turns import TurnChannel, Turns
from erasurehead_worker.watch.tally import Tally
from erasurehead_worker.watch.throttling import cpu_limit

log = logging.getLogger(__name__)


def work(settings: WorkerSettings, turn_keeper: TurnChannel | None = None) -> int:
    """Serve one master until it is done with us; return the exit code (docs/exit-codes.md).

    `turn_keeper` is for a worker that shares its machine's cores with others.
    """
    hello = Hello(
        protocol=PROTOCOL_VERSION,
        name=settings.name or default_name(),
        version=installed_version(),
        host=socket.gethostname(),
        slot=settings.slot,
        cpu_limit=cpu_limit(),
    )
    # Overflow is for the master to judge; a warning here would only fill the log.
    np.seterr(over="ignore", invalid="ignore")
    machine = Worker(
        hello,
        time.monotonic(),
        np.random.default_rng(),
        settings.retry_limit_s,
        load_average=lambda: os.getloadavg()[0],
        drain_s=settings.drain_s,
    )
    turns = Turns(turn_keeper)
    source = RowSource(settings.store, settings.cache)
    keys = _keys(settings.keys)
    # Watched until nothing is left to do, so that no signal changes how an ending worker ends.
    with SignalWatch() as signals, ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            handshakes = Handshakes(context, settings.connect, keyed=keys is not None)
            dealer = sockets.connect_dealer(
                context,
                settings.connect,
                identity=b"w" + secrets.token_bytes(8),
                keys=keys,
                handshakes=handshakes,
            )
            tally, pulse = Tally(), Pulse(settings.http.stalled_after_s)
            _monitor(settings.http, machine, tally, pulse, stack)
            ending = WorkerLoop(
                machine, dealer, source, signals, tally, pulse, handshakes, turns
            ).run()
            handshakes.let_go(dealer)
            dealer.close()
        finally:
            turns.close()
            # Also what was not let go because something failed: term() would wait for it.
            context.destroy(linger=sockets.LINGER_MS)
    log.log(logging.ERROR if ending.code else logging.INFO, "%s", ending.reason)
    return settings.unfinished_code if ending.asked else ending.code


def default_name() -> str:
    """Return a name that no other process has.

    Containers of one machine may share its host name and each have the process id 1.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def _keys(settings: WorkerKeySettings) -> WorkerKeys | None:
    if settings.secret is None or settings.master is None:
        return None
    return WorkerKeys(read_secret(settings.secret), read_public(settings.master))


def _monitor(
    http: HttpSettings, machine: Worker, tally: Tally, pulse: Pulse, stack: ExitStack
) -> None:
    """Serve metrics and health while `stack` is open, if an address is configured."""
    if http.bind is None:
        return
    # Not loaded by workers that are not watched over HTTP.
    from erasurehead.monitoring.http import HealthServer
    from erasurehead_worker.watch.metrics import endpoints

    server = stack.enter_context(HealthServer(http.bind, endpoints(machine, tally, pulse)))
    log.info("metrics and health at %s", server.url)
