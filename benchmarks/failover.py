"""How long does it take from the end of a process to the next step of the run?

    python benchmarks/failover.py [--times 5]

A master and five workers (four slots and a spare) run as processes of their own, as on machines of
their own. One of them is ended by SIGKILL or SIGTERM, in the middle of a round of 0.2 s; a master
is started again with --resume the moment it is gone. Printed: the longest that ``rounds.jsonl``
went without a round that has all tasks, in the ten seconds from the signal on, as median and
largest of several times; and what that is if nobody is ended.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from erasurehead.datasets.prepare import prepare

SLOTS = 4
WATCHED_S = 10.0


class Cluster:
    """A master and its workers, each a process of the command."""

    def __init__(self, directory: Path) -> None:
        options = {"rows": "800", "columns": "50", "nnz": "5", "seed": "1"}
        self._store = prepare("synthetic", source=None, out=directory / "s", options=options).path
        self.out = directory / "run"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._numbers = itertools.count()
        self.master = self._start_master()
        self.workers: list[subprocess.Popen[bytes]] = []
        self._ended: list[subprocess.Popen[bytes]] = []
        for _ in range(SLOTS + 1):
            self.add_worker()

    def _start_master(self) -> subprocess.Popen[bytes]:
        return _command(
            "master", str(self._store), "--bind", self._address, "--workers", str(SLOTS),
            "--scheme", "uncoded", "--rounds", "1000000", "--until", "none", "--resume", "--quiet",
            "--delay", "exponential:mean_s=0.1", "--out", str(self.out),
            "--checkpoint-every-rounds", "1", "--evaluate-every-rounds", "1000000",
        )  # fmt: skip

    def add_worker(self) -> None:
        """Start one more worker."""
        name = f"w{next(self._numbers)}"
        self.workers.append(_command("worker", "--connect", self._address, "--name", name))

    def end_worker(self, number: signal.Signals) -> float:
        """End the worker that is in its slot longest; return when the signal was sent."""
        worker = self.workers.pop(0)
        self._ended.append(worker)
        sent = time.monotonic()
        worker.send_signal(number)
        return sent

    def end_master(self, number: signal.Signals) -> float:
        """End the master and start its successor; return when the signal was sent."""
        sent = time.monotonic()
        self.master.send_signal(number)
        self.master.wait()
        self.master = self._start_master()
        return sent

    def longest_gap_s(self, begun: float) -> float:
        """Watch the run for some time; return the longest wait for a round with all tasks."""
        seen, last, longest = self.whole_rounds(), begun, 0.0
        while time.monotonic() < begun + WATCHED_S:
            whole = self.whole_rounds()
            if whole > seen:
                seen, now = whole, time.monotonic()
                last, longest = now, max(longest, now - last)
            time.sleep(0.01)
        return max(longest, time.monotonic() - last)

    def whole_rounds(self) -> int:
        """Return how many rounds without an erased task are recorded."""
        return sum(b'"erased_tasks":0,' in line for line in self._lines())

    def _lines(self) -> list[bytes]:
        path = self.out / "rounds.jsonl"
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, *self._ended, self.master):
            process.kill()
            process.wait()


def _command(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "erasurehead_cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(Path(directory))
        try:
            while cluster.whole_rounds() < 3:
                time.sleep(0.1)
            calm = cluster.longest_gap_s(time.monotonic())
            print(f"nobody           {calm:7.2f} s", flush=True)
            for role, number in itertools.product(
                ("worker", "master"), (signal.SIGTERM, signal.SIGKILL)
            ):
                took_s = []
                for _ in range(given.times):
                    end = cluster.end_worker if role == "worker" else cluster.end_master
                    took_s.append(cluster.longest_gap_s(end(number)))
                    if role == "worker":
                        cluster.add_worker()
                print(
                    f"{role} {number.name:8} {np.median(took_s):7.2f} s"
                    f" (largest {max(took_s):.2f} s)",
                    flush=True,
                )
        finally:
            cluster.close()


if __name__ == "__main__":
    main()
