"""A process that has everything a worker imports, and forks workers from itself in no time.

Started as ``python -m erasurehead_local.nursery LOG_LEVEL``; speaks lines of JSON. On its standard
input: first ``{"turns": how many workers may compute at the same time, 0: any number}``, then
``{"start": {worker settings}}``, ``{"signal": name, "number": 15}``, ``{"guard": folder}`` and
``{"unguard": folder}``; on its standard output: ``{"started": name, "pid": ...}`` and
``{"exited": name, "pid": ..., "code": ...}`` (negative: killed by that signal). When its standard
input ends (the parent is gone, however it went), it ends its workers, removes the folders that it
guards, and then ends itself, so that nothing is ever left behind.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import shutil
import signal
import sys
import time
from typing import Any

from erasurehead.process.descriptors import open_as_many_as_allowed
from erasurehead.process.signals import SignalWatch
from erasurehead.settings.plugins import load_plugins
from erasurehead.settings.tree import WorkerSettings
from erasurehead_local.hatching import GRACE_S
from erasurehead_local.orphans import end_with_parent
from erasurehead_local.turn_channels import TurnDesk
from erasurehead_local.turns import TurnKeeper
from erasurehead_worker.shell.main import work

NICENESS = 10
"""How much more willing than the master workers are to wait for a core, so that it closes a round
and opens the next while those it does not wait for would still compute."""


class Nursery:
    """Forks workers, reaps them, and outlives none of them."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._guarded: set[str] = set()
        self._desk: TurnDesk | None = None

    def run(self) -> None:
        """Serve until the standard input ends and every worker is gone."""
        buffer = b""
        open_as_many_as_allowed()
        with SignalWatch(signal.SIGCHLD, signal.SIGTERM) as signals:
            while True:
                ready = self._wait(signals)
                came = set(iter(signals.take, None))
                self._reap()
                if signal.SIGTERM in came:
                    break
                if 0 in ready:
                    read = os.read(0, 1 << 16)
                    if not read:
                        break
                    *lines, buffer = (buffer + read).split(b"\n")
                    for line in lines:
                        self._obey(json.loads(line))
            self._end_all(signals)
        for folder in self._guarded:
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self, signals: SignalWatch) -> list[int]:
        """Wait for an order or a signal, and meanwhile grant turns."""
        watched = [0, signals.fileno()]
        if self._desk is None:
            return select.select(watched, [], [])[0]
        while True:
            everything = [*watched, *self._desk.descriptors]
            ready, _, _ = select.select(everything, [], [], self._desk.patience_s)
            self._desk.serve(set(ready).difference(watched))
            if not set(ready).isdisjoint(watched):
                return ready

    def _obey(self, order: dict[str, Any]) -> None:
        if "start" in order:
            self._start(WorkerSettings(**order["start"]))
        elif "turns" in order:
            turns = int(order["turns"])
            self._desk = TurnDesk(TurnKeeper(turns), time.monotonic) if turns else None
        elif "guard" in order:
            self._guarded.add(order["guard"])
        elif "unguard" in order:
            self._guarded.discard(order["unguard"])
        else:
            for pid, name in self._names.items():
                if name == order["signal"]:
                    os.kill(pid, order["number"])

    def _start(self, settings: WorkerSettings) -> None:
        assert settings.name is not None
        load_plugins(settings.plugin)  # once for all: a plug-in may take long to import
        channel = None if self._desk is None else self._desk.open()
        nursery = os.getpid()
        # The worker may be asked to end as soon as it is there; it hears that when it can answer.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            # Leave through _exit whatever happens: this is a copy of the nursery's stack.
            code = 1
            try:
                os.nice(NICENESS)
                os.close(0)
                os.dup2(2, 1)
                if self._desk is not None:
                    self._desk.close()
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                end_with_parent(nursery)
                code = work(settings, channel)
            except BaseException:
                logging.getLogger(__name__).exception("worker %s failed", settings.name)
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if channel is not None:
            channel.close()
        self._names[pid] = settings.name
        _say({"started": settings.name, "pid": pid})

    def _reap(self) -> None:
        while self._names:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name = self._names.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            _say({"exited": name, "pid": pid, "code": code})

    def _end_all(self, signals: SignalWatch) -> None:
        """Ask, wait for the grace time, then kill."""
        for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
            for pid in self._names:
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)
            until = time.monotonic() + patience_s
            while self._names and (left := until - time.monotonic()) > 0:
                select.select([signals.fileno()], [], [], left)
                set(iter(signals.take, None))
                self._reap()


def _say(line: dict[str, Any]) -> None:
    """Tell the parent; it may be gone already."""
    try:
        os.write(1, json.dumps(line).encode() + b"\n")
    except BrokenPipeError:
        logging.getLogger(__name__).debug("the parent is gone and does not hear that %s", line)


def main() -> None:
    """Run the nursery of this process."""
    _, log_level = sys.argv
    logging.basicConfig(
        level=log_level,
        format="%(asctime)s worker %(process)d %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    # A hang-up reaches the whole group, and a master that goes ends its nursery and workers.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded stays: no worker need look through it for garbage, nor copy it for that.
    gc.freeze()
    Nursery().run()


if __name__ == "__main__":
    main()
