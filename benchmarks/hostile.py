"""A run under fire: does it end with the model of a quiet run, and is everything accounted for?

    python benchmarks/hostile.py [--messages 1000000] [--senders 2] [--limited] [--json]

A run of the exact scheme over four workers goes on while sender processes push damaged messages
of every kind through the same live socket. Nothing here depends on speed: near its end the run
waits (a worker is stopped) until the master has read everything that was sent. Printed: messages
refused by reason against what was sent, whether the model is the quiet run's to the last bit, the
master's memory before and after, and the rate.

With `--limited` the limits of a real run are on, and most messages are not even looked at.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from plain import PLAIN

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_OK
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings, WorkerSettings
from erasurehead_local.address import LOOPBACK
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.machine.events import Event
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.shell.loop import Watched
from erasurehead_master.shell.main import host

WORKERS = 4
HERE = Path(__file__).parent


class Fire:
    """Sender processes, and the moment when all they sent has been read."""

    def __init__(self, messages: int, senders: int) -> None:
        self._messages = messages
        self._senders = senders
        self._processes: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._wait)
        self.address = ""
        self.sent: Counter[str] = Counter()
        self.over = threading.Event()
        self.seconds = 0.0

    def begin(self) -> None:
        """Start the senders, who aim at `address`."""
        share = self._messages // self._senders
        for i in range(self._senders):
            count = share + (self._messages % self._senders if i == 0 else 0)
            aimed = [str(HERE / "mutants.py"), self.address, str(count), str(i + 1)]
            command = [sys.executable, *aimed]
            self._processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        self._thread.start()

    def end(self) -> None:
        """Leave no process."""
        for process in self._processes:
            process.kill()
        if self._processes:
            self._thread.join()

    def _wait(self) -> None:
        begun = time.monotonic()
        for process in self._processes:
            out, _ = process.communicate()
            if process.returncode == 0:
                self.sent.update(json.loads(out))
        self.seconds = time.monotonic() - begun
        self.over.set()


class Watch(Observer):
    """Keeps the model and the memory; opens fire, and holds the run's end back meanwhile."""

    def __init__(self, cluster: LocalCluster, fire: Fire | None, rounds: int) -> None:
        self._cluster = cluster
        self._fire = fire
        self._rounds = rounds
        self._held = False
        self.theta = np.zeros(0)
        self.memory: list[int] = []
        self.rounds_under_fire = 0

    def round_over(self, record: RoundRecord) -> None:
        if record.round % 50 == 1:
            self.memory.append(psutil.Process().memory_info().rss)
        if self._fire is not None and record.round == 1:
            # Not before: workers that are slow to start would come when it is over.
            self._fire.begin()
        elif self._fire is not None and not self._fire.over.is_set():
            self.rounds_under_fire += 1
            if record.round >= self._rounds - 5 and not self._held:
                self._held = True
                threading.Thread(target=self._hold, args=(self._fire,)).start()

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()

    def _hold(self, fire: Fire) -> None:
        self._cluster.signal("w0", signal.SIGSTOP)
        fire.over.wait()
        self._cluster.signal("w0", signal.SIGCONT)


def run(
    store: Path, rounds: int, fire: Fire | None, limits: dict[str, float]
) -> tuple[RunSummary, Watch]:
    """Train once, under fire or not."""
    given = {
        **PLAIN,
        "store": str(store),
        "workers": WORKERS,
        "scheme": "uncoded",
        "rounds": rounds,
        "step": "0.5",
        "delay": "exponential:mean_s=0.005",
        "evaluate_every_rounds": rounds,
        "membership": {"silence_limit_s": 3600.0},
        "limits": limits,
    }
    settings = load(RunSettings, given, environment={})
    opened = Store.open(str(store))
    planned = PlannedRun.of(settings, opened, str(store))
    with LocalCluster() as cluster:
        watch = Watch(cluster, fire, rounds)

        def attach(address: str) -> Watched:
            cluster.start(
                [WorkerSettings(connect=address, name=f"w{i}", slot=i) for i in range(WORKERS)]
            )
            if fire is not None:
                fire.address = address
            return cluster.fileno(), departures

        def departures() -> list[Event]:
            cluster.poll()
            return []

        try:
            summary = host(planned, LOOPBACK, [watch], time.monotonic(), attach)
        finally:
            if fire is not None:
                fire.end()
    return summary, watch


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Return what the comparison found."""
    rounds = arguments.rounds or max(60, arguments.messages // 500)
    limits: dict[str, float] = {"mute_s": 0.5} if arguments.limited else {"refused_burst": 10**9}
    with tempfile.TemporaryDirectory() as directory:
        options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "3"}
        store = prepare(
            "synthetic", source=None, out=Path(directory) / "store", options=options
        ).path
        quiet_summary, quiet = run(store, rounds, None, {})
        fire = Fire(arguments.messages, arguments.senders)
        summary, watch = run(store, rounds, fire, limits)
    assert quiet_summary.exit_code == EXIT_OK
    return {
        "exit_code": summary.exit_code,
        "rounds": summary.rounds,
        "rounds_under_fire": watch.rounds_under_fire,
        "sent": dict(sorted(fire.sent.items())),
        "refused": dict(sorted(summary.refused.items())),
        "same_model": bool(np.array_equal(quiet.theta, watch.theta) and watch.theta.any()),
        "seconds": fire.seconds,
        "messages_per_s": arguments.messages / max(fire.seconds, 1e-9),
        "memory_first_mb": watch.memory[0] / 1e6,
        "memory_last_mb": watch.memory[-1] / 1e6,
        "memory_peak_mb": max(watch.memory) / 1e6,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=0, help="0: by the number of messages")
    parser.add_argument("--limited", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = measure(given)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
