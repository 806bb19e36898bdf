"""Our own side of `benchmarks/peers.py`, which starts it as it starts the peers.

    python benchmarks/peer_ours.py FOLDER SCHEME OPTIMIZER

Worker processes and a master of `erasurehead train`. Models are put aside and rated afterwards.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from peer_loop import BEGAN, FIRST_ROUNDS, Course, given_problem, pause, tell

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.reproduce.beyond.optimum import kept_gaps
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.train import plan_here, run_planned

ENOUGH = 0.2
"""A run ends when its own estimate of the gap is this share of the mark."""


class Watch(Observer):
    """Keeps records, and kills two workers when it is time."""

    def __init__(self, kill_after: int) -> None:
        self.records: list[RoundRecord] = []
        self.began = 0.0
        self.cluster: LocalCluster | None = None
        self._kill_after = kill_after

    def started(self, start: RunStart) -> None:
        """Keep when the first round opens."""
        self.began = time.time()

    def round_over(self, record: RoundRecord) -> None:
        """Keep a record."""
        self.records.append(record)
        if record.round == self._kill_after:
            pause()
            assert self.cluster is not None
            for pid in list(self.cluster.pids.values())[:2]:
                os.kill(pid, signal.SIGKILL)

    def have(self, cluster: LocalCluster) -> None:
        """Keep the workers."""
        self.cluster = cluster


def main() -> None:
    """Train, rate, and tell."""
    scheme, optimizer = sys.argv[2:]
    _, problem, rounds = given_problem()
    store = Store.open(problem.store)
    written = {
        "store": problem.store,
        "scheme": scheme,
        "optimizer": optimizer,
        "workers": problem.workers,
        "rounds": rounds,
        "until": [f"gap:{ENOUGH * problem.mark:g}", f"time:{problem.limit_s:g}s"],
        "l2": problem.l2,
        "delay": problem.delay,
        "evaluate_every_rounds": 1,
    }
    models: list[FloatArray] = []

    def put_aside(model: FloatArray) -> Iterator[dict[str, float] | None]:
        models.append(model.copy())
        yield {}

    watch = Watch(problem.kill_after)
    planned = plan_here(load(RunSettings, written, environment={}), store)
    summary = run_planned(planned, [watch], started=watch.have, rating=put_aside)
    records = watch.records
    gaps = kept_gaps(store, problem.l2, Path(problem.optimum)).until(models, problem.mark)
    course = Course(
        start_s=watch.began - float(os.environ[BEGAN]),
        round_s=statistics.median([r.duration_s for r in records[FIRST_ROUNDS:]] or [0.0]),
        bytes_a_round=statistics.mean(r.bytes_out + r.bytes_in for r in records),
        rounds=len(records),
    )
    if gaps[-1] <= problem.mark:
        course.reached_s = records[len(gaps) - 1].closed_s
    else:
        why = "the rows of the dead are left out" if problem.kill_after else summary.reason
        course.ended = f"not reached in {len(records)} rounds: {why}"
    tell(course)


if __name__ == "__main__":
    main()
