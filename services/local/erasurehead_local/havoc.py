"""Does to the workers of a local run what a schedule of faults says."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from erasurehead.errors import UsageError
from erasurehead.network.addresses import ABSTRACT
from erasurehead.settings.tree import WorkerSettings
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.faults import Fault

log = logging.getLogger(__name__)

PIDFD_GETFD = 438
"""Number of the system call, on every architecture."""


class Havoc(threading.Thread):
    """Injects faults on a thread of its own, from its start on.

    Parameters
    ----------
    faults: in the order of their times.
    cluster: whose workers suffer; only its table of process ids is read here.
    names: of the workers, by number.
    address: of the master.

    Raises
    ------
    UsageError: a connection is to be cut, and this system cannot do that.
    """

    def __init__(
        self, faults: Sequence[Fault], cluster: LocalCluster, names: Sequence[str], address: str
    ) -> None:
        super().__init__(name="havoc", daemon=True)
        if any(fault.kind == "cut" for fault in faults) and not sys.platform.startswith("linux"):
            raise UsageError("only Linux can cut connections of other processes; leave 'cut' out")
        self.injected: list[Fault] = []
        self._due: list[tuple[float, str, Fault]] = [(f.at_s, f.kind, f) for f in faults]
        self._due += [
            (fault.at_s + fault.for_s, "go on", fault) for fault in faults if fault.kind == "stop"
        ]
        self._due.sort(key=lambda due: due[0])
        self._cluster = cluster
        self._names = names
        self._address = address
        self._over = threading.Event()

    def run(self) -> None:
        """Do harm until all is done, or told to stop."""
        begun = time.monotonic()
        for at_s, what, fault in self._due:
            if self._over.wait(max(0.0, begun + at_s - time.monotonic())):
                return
            pid = self._cluster.pids.get(self._names[fault.worker])
            if pid is None:
                continue  # it is not back from the last fault
            with contextlib.suppress(ProcessLookupError):
                self._inject(what, pid)
                if what != "go on":
                    self.injected.append(fault)

    @property
    def is_over(self) -> bool:
        """True once it was told to stop."""
        return self._over.is_set()

    def stop(self) -> None:
        """Do no more harm, and let those that are frozen go on."""
        self._over.set()
        if self.ident is not None:
            self.join()
        for pid in list(self._cluster.pids.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _inject(self, what: str, pid: int) -> None:
        if what == "kill":
            os.kill(pid, signal.SIGKILL)
        elif what == "stop":
            os.kill(pid, signal.SIGSTOP)
        elif what == "go on":
            os.kill(pid, signal.SIGCONT)
        else:
            cut_connections(pid, self._address)


class HarassedCluster(LocalCluster):
    """A cluster whose workers suffer from a schedule of faults, counted from when they are there.

    Workers that are killed are started again at once, as a supervisor would.

    Parameters
    ----------
    faults: in the order of their times.
    turns: as of `LocalCluster`.
    """

    def __init__(self, faults: Sequence[Fault], turns: int | None) -> None:
        super().__init__(turns=turns)
        self._faults = faults
        self._settings: dict[str, WorkerSettings] = {}
        self._havoc: Havoc | None = None

    @property
    def injected(self) -> list[Fault]:
        """The faults that there has been time for."""
        return [] if self._havoc is None else self._havoc.injected

    def start(self, workers: Sequence[WorkerSettings]) -> None:
        """Start workers; harm begins when they are there."""
        super().start(workers)
        if self._havoc is None:
            self._settings = {str(worker.name): worker for worker in workers}
            address = workers[0].connect
            self._havoc = Havoc(self._faults, self, list(self._settings), address)

    def poll(self) -> list[tuple[str, int]]:
        """Read the nursery's news, and start those again that were killed."""
        ended = super().poll()
        if self._havoc is None or self._havoc.is_over:
            return ended
        if self._havoc.ident is not None:
            super().start([self._settings[name] for name, code in ended if code == -signal.SIGKILL])
        elif len(self.pids) == len(self._settings):
            self._havoc.start()
        return ended

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._havoc is not None:
            self._havoc.stop()
        super().__exit__(kind, error, trace)


def cut_connections(pid: int, address: str) -> int:
    """End the connections of a process to an abstract address under its hands; return how many.

    Linux only, and for processes of the same user.
    """
    cut, name = 0, b"\0" + address.removeprefix(ABSTRACT).encode()
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if not str(entry.readlink()).startswith("socket:"):
                    continue
                copy = libc.syscall(PIDFD_GETFD, handle, int(entry.name), 0)
                if copy < 0:
                    raise OSError(ctypes.get_errno(), "pidfd_getfd")
                with socket.socket(fileno=copy) as connection:
                    if connection.getpeername() == name:
                        connection.shutdown(socket.SHUT_RDWR)
                        cut += 1
    finally:
        os.close(handle)
    if not cut:
        log.warning("no connection of process %d could be cut", pid)
    return cut
