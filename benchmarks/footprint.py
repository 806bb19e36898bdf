"""How many bytes a round, how much memory, how fast a start, how idle a wait?

    python benchmarks/footprint.py STORE [--workers 30] [--scheme agc:c=3,r=11] [--rounds 20]

Bytes against sending every worker the whole model and getting a whole gradient back; memory of the
master and of the largest worker (anonymous pages: mapped files are shared by all); seconds from
the call to the first round; processor time burnt while everybody sleeps in an injected delay.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import psutil
from plain import PLAIN

from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_local.train import train
from erasurehead_master.run.planning import make_plan

MB = 1e6


def anonymous_bytes(pid: int) -> int:
    """Return the memory of a process that is its own: neither a mapped file nor shared."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class Watch(Observer):
    """Reads sizes once the run is in full swing."""

    def __init__(self, at_round: int) -> None:
        self.records: list[RoundRecord] = []
        self.ready_s = 0.0
        self.master = 0
        self.workers: list[int] = []
        self._at = at_round

    def started(self, start: RunStart) -> None:
        self.ready_s = start.ready_s

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        if record.round == self._at:
            me = psutil.Process()
            self.master = me.memory_info().rss
            (nursery,) = me.children()
            self.workers = [anonymous_bytes(p.pid) for p in nursery.children()]


class Idle(Observer):
    """Measures the processor time of all processes between two rounds far apart."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self._was = (0.0, 0.0)

    def _now(self) -> tuple[float, float]:
        me = psutil.Process()
        times = [p.cpu_times() for p in [me, *me.children(recursive=True)]]
        return sum(t.user + t.system for t in times), time.monotonic()

    def round_over(self, record: RoundRecord) -> None:
        now = self._now()
        if record.round == 2:  # the first begins, and the last ends, with work to do
            self.cpu_s += now[0] - self._was[0]
            self.wall_s += now[1] - self._was[1]
        self._was = now


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--scheme", default="agc:c=3,r=11")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()

    def settings(scheme: str, rounds: int, delay: str) -> RunSettings:
        tree = {
            **PLAIN,
            "store": given.store,
            "scheme": scheme,
            "workers": given.workers,
            "rounds": rounds,
            "step": "0.01",
            "delay": delay,
            "evaluate_every_rounds": rounds,
        }
        return load(RunSettings, tree, environment={})

    chosen = settings(given.scheme, given.rounds, "none")
    store = Store.open(given.store)
    plan = make_plan(chosen, store, None)
    watch = Watch(given.rounds - 1)
    summary = train(chosen, [watch])
    model = 8 * plan.n_parameters
    moved = [r.bytes_out + r.bytes_in for r in watch.records[1:]]
    whole = 2 * given.workers * model
    nnz, rows = store.manifest.nnz, store.manifest.rows
    per_row = (4 if store.manifest.values_are_ones else 12) * nnz / rows + 16
    own_rows = float(plan.code.loads.max()) / plan.code.n_tasks * rows * per_row
    print(f"{given.store}: {plan.n_parameters} parameters, {given.workers} workers, {given.scheme}")
    print(f"bytes a round        {max(moved) / MB:8.2f} MB at most, both ways together")
    share = 100 * max(moved) / whole
    print(f"  of 2 x k x 8 x parameters    {share:8.1f} %   (Amazon: at most 25 %)")
    limit = 150e6 + 8 * model
    print(f"master               {watch.master / MB:8.1f} MB resident, limit {limit / MB:.0f} MB")
    print(f"  peak, with all that came     {summary.peak_memory_bytes / MB:8.1f} MB")
    limit = 130e6 + 1.2 * own_rows
    largest = max(watch.workers)
    print(f"largest worker       {largest / MB:8.1f} MB of its own, limit {limit / MB:.0f} MB")
    print(f"ready after          {watch.ready_s:8.2f} s   (at most 6 s)")
    idle = Idle()
    train(settings("uncoded", 4, "persistent:fraction=1,slow_s=5"), [idle])
    share = idle.cpu_s / idle.wall_s
    print(f"asleep in delays     {1e3 * share:8.1f} ms of processor time a second, all processes")


if __name__ == "__main__":
    main()
