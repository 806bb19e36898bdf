"""One worker process, from its settings to its exit code."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import zmq

from erasurehead.settings import WorkerSettings
from erasurehead.wire import sockets
from erasurehead.wire.messages import PROTOCOL_VERSION, Hello
from erasurehead.wire.signals import SignalWatch
from erasurehead_worker.loop import WorkerLoop
from erasurehead_worker.machine import Worker
from erasurehead_worker.rows import RowSource

log = logging.getLogger(__name__)


def work(settings: WorkerSettings) -> int:
    """Serve one master until it is done with us; return the exit code (docs/exit-codes.md)."""
    hello = Hello(
        protocol=PROTOCOL_VERSION,
        name=settings.name or f"{socket.gethostname()}-{os.getpid()}",
        version=_version(),
        host=socket.gethostname(),
        slot=settings.slot,
        cpu_limit=_cpu_limit(),
    )
    machine = Worker(
        hello,
        time.monotonic(),
        np.random.default_rng(),
        settings.retry_limit_s,
        load_average=lambda: os.getloadavg()[0],
    )
    source = RowSource(settings.store, settings.cache)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        dealer = sockets.connect_dealer(
            context, settings.connect, identity=b"w" + secrets.token_bytes(8)
        )
        with SignalWatch() as signals:
            ending = WorkerLoop(machine, dealer, source, signals).run()
        dealer.close()
    finally:
        context.term()
    log.log(logging.ERROR if ending.code else logging.INFO, "%s", ending.reason)
    return ending.code


def _version() -> str:
    try:
        return version("erasurehead")
    except PackageNotFoundError:
        return "unknown"


def _cpu_limit() -> float | None:
    """Return the cores this process may use by its cgroup's quota, or None without one."""
    for quota_file, period_file in (
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
        ("/sys/fs/cgroup/cpu.max", None),
    ):
        try:
            words = Path(quota_file).read_text(encoding="ascii").split()
            if period_file is not None:
                words.append(Path(period_file).read_text(encoding="ascii").strip())
            quota, period = words[0], words[1]
            if quota not in ("max", "-1"):
                return int(quota) / int(period)
        except (OSError, ValueError, IndexError):
            continue
    return None
