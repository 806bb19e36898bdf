"""Does it keep working, and leak nothing, while workers come and go?

    python benchmarks/soak.py storm [--rounds 500] [--every-s 0.2] [--seeds 5]
    python benchmarks/soak.py churn [--minutes 20]

storm: 30 workers under agc; a random one is killed (SIGKILL) and restarted every 200 ms. Printed:
wall clock against the calm run's, the test metric against the calm runs' spread over the seeds, and
what was left behind. churn: a small model for many rounds with a kill every second; memory,
descriptors and round time as slopes over the run.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from plain import PLAIN
from scipy.stats import theilslopes

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings, WorkerSettings
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.machine.events import Event
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.shell.loop import Watched
from erasurehead_master.shell.main import host

EVERY_S = 1.0
"""Between two kills of the churn."""

WARM_UP_SHARE = 0.2


@dataclass(frozen=True)
class Growth:
    """What grew over a run, without its beginning.

    Attributes
    ----------
    memory_bytes, descriptors: of the master's process.
    round_time: relative to the median round.
    """

    memory_bytes: float
    descriptors: float
    round_time: float

    @property
    def flat(self) -> bool:
        """True when nothing grew that would one day be too much; round times may also fall."""
        return self.memory_bytes < 10e6 and abs(self.descriptors) < 3 and self.round_time < 0.1

    @classmethod
    def of(cls, samples: Sequence[tuple[int, float, int, float]]) -> Growth:
        """Fit lines to samples of (round, bytes, descriptors, seconds).

        The slope is the median of all pairs' slopes (Theil and Sen): one slow round, of a worker
        that was just killed, must not pass for a trend.
        """
        taken = np.array(samples[int(WARM_UP_SHARE * len(samples)) :], dtype=float)
        rounds = taken[:, 0]
        span = rounds[-1] - rounds[0]
        memory, descriptors, seconds = (
            float(theilslopes(taken[:, i], rounds).slope) * span for i in (1, 2, 3)
        )
        return cls(memory, descriptors, seconds / float(np.median(taken[:, 3])))


class Gauge(Observer):
    """Samples this process while rounds go by, and keeps the median round between two samples."""

    def __init__(self, every: int) -> None:
        self.samples: list[tuple[int, float, int, float]] = []
        self._every = every
        self._durations: list[float] = []
        self._process = psutil.Process()

    def round_over(self, record: RoundRecord) -> None:
        self._durations.append(record.duration_s)
        if record.round % self._every == 0:
            memory = self._process.memory_info().rss
            descriptors = self._process.num_fds()
            duration_s = float(np.median(self._durations))
            self.samples.append((record.round, memory, descriptors, duration_s))
            self._durations.clear()


class Chaos(threading.Thread):
    """Kills a random worker every so often and starts it again."""

    def __init__(self, every_s: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._every_s = every_s
        self._rng = np.random.default_rng(seed)
        self._ended = threading.Event()
        self.cluster: LocalCluster | None = None
        self.address = ""
        self.kills = 0

    def run(self) -> None:
        """Do harm until told to stop."""
        while not self._ended.wait(self._every_s):
            cluster = self.cluster
            names = sorted(cluster.pids) if cluster is not None else []
            if not names or cluster is None:
                continue
            name = names[int(self._rng.integers(len(names)))]
            cluster.signal(name, signal.SIGKILL)
            slot = int(name.rsplit("-", 1)[1])
            cluster.start([WorkerSettings(connect=self.address, name=name, slot=slot)])
            self.kills += 1

    def stop(self) -> None:
        """End, and wait for the end."""
        self._ended.set()
        self.join()


def run(settings: RunSettings, observers: Sequence[Observer], chaos: Chaos | None) -> RunSummary:
    """Run once, with or without chaos."""
    begun = time.monotonic()
    store = Store.open(settings.problem.store)
    planned = PlannedRun.of(settings, store, str(store.path))
    with LocalCluster("ERROR") as cluster:

        def attach(address: str) -> Watched:
            cluster.start(
                [
                    WorkerSettings(connect=address, name=f"local-{i}", slot=i)
                    for i in range(settings.coding.workers)
                ]
            )
            if chaos is not None:
                chaos.cluster, chaos.address = cluster, address
            return cluster.fileno(), unannounced

        def unannounced() -> list[Event]:
            # The master is not told of deaths here: it has to find out as on other machines.
            cluster.poll()
            return []

        if chaos is not None:
            chaos.start()
        summary = host(planned, "tcp://127.0.0.1:*", observers, begun, attach)
        if chaos is not None:
            chaos.stop()
        return summary


def left_behind() -> dict[str, object]:
    """Return what should be as it was before a run."""
    me = psutil.Process()
    return {
        "processes": len(me.children(recursive=True)),
        "threads": threading.active_count(),
        "descriptors": me.num_fds(),
        "shared memory": sorted(os.listdir("/dev/shm")) if Path("/dev/shm").is_dir() else [],  # noqa: PTH208
    }


def storm(store: Path, rounds: int, every_s: float, seeds: int) -> bool:
    """Compare a stormy run with calm ones; return whether everything held."""

    def settings(seed: int) -> RunSettings:
        given = {
            **PLAIN,
            "store": str(store),
            "workers": 30,
            "scheme": "agc:c=3,r=11",
            "rounds": rounds,
            "step": "auto",
            "seed": seed,
            "delay": "exponential:mean_s=0.1",
        }
        return load(RunSettings, given, environment={})

    calm = [run(settings(seed), [], None) for seed in range(seeds)]
    before = left_behind()
    gauge, chaos = Gauge(5), Chaos(every_s, 1)
    stormy = run(settings(0), [gauge], chaos)
    after = left_behind()
    wall = stormy.wall_s / stormy.rounds * rounds / calm[0].wall_s
    scores = [s.metrics["log_loss"] for s in calm]
    margin = max(scores) - min(scores)
    score = stormy.metrics["log_loss"]
    grown = Growth.of(gauge.samples)
    print(f"kills and restarts           {chaos.kills}")
    print(f"ended                        exit code {stormy.exit_code}, {stormy.rounds} rounds")
    print(f"wall clock, storm / calm     {wall:.3f}   (at most 1.3)")
    print(f"log loss, storm              {score:.5f}")
    print(f"log loss, calm over seeds    {min(scores):.5f} to {max(scores):.5f}")
    print(f"master's memory over the run {grown.memory_bytes / 1e6:+.2f} MB")
    print(f"descriptors over the run     {grown.descriptors:+.1f}")
    for what, was in before.items():
        print(f"{what:28} {was} before, {after[what]} after")
    return (
        stormy.exit_code == 0
        and wall <= 1.3
        and min(scores) - margin <= score <= max(scores) + margin
        and before == after
        and grown.memory_bytes < 5e6
    )


def churn(store: Path, minutes: float) -> bool:
    """Run a small model for long with workers killed every second."""
    ends = time.monotonic() + 60 * minutes

    class Deadline(Observer):
        asked = False

        def round_over(self, record: RoundRecord) -> None:
            # A second signal would mean: at once.
            if time.monotonic() > ends and not self.asked:
                self.asked = True
                signal.raise_signal(signal.SIGTERM)

    given = {
        **PLAIN,
        "store": str(store),
        "workers": 6,
        "scheme": "agc:c=2,r=3",
        "rounds": 10**8,
        "step": "0.01",
        "delay": "exponential:mean_s=0.008",
        "evaluate_every_rounds": 1000,
    }
    settings = load(RunSettings, given, environment={})
    gauge, chaos = Gauge(200), Chaos(EVERY_S, 2)
    summary = run(settings, [gauge, Deadline()], chaos)
    grown = Growth.of(gauge.samples)
    print(f"rounds                       {summary.rounds} in {summary.wall_s:.0f} s")
    print(f"kills and restarts           {chaos.kills}")
    print(f"ended                        exit code {summary.exit_code}: {summary.reason}")
    print(f"master's memory over the run {grown.memory_bytes / 1e6:+.2f} MB   (less than 10)")
    print(f"descriptors over the run     {grown.descriptors:+.1f}   (less than 3)")
    print(f"round time over the run      {100 * grown.round_time:+.1f} %   (less than 10)")
    # A few may not come up again in time, but it has to have been a churn.
    enough = chaos.kills >= 0.5 * summary.wall_s / EVERY_S
    return summary.exit_code == 0 and grown.flat and enough


def main() -> int:
    """Run what is asked for; 0 if everything held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("storm", "churn"))
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--every-s", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=20.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        options = {"rows": "6000", "columns": "500", "nnz": "10"}
        made = prepare("synthetic", source=None, out=Path(scratch) / "store", options=options)
        if given.what == "storm":
            held = storm(made.path, given.rounds, given.every_s, given.seeds)
        else:
            held = churn(made.path, given.minutes)
    print("held" if held else "DID NOT HOLD")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
