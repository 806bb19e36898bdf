"""What do many workers cost a master: time, processor, memory?

    python benchmarks/swarm.py [--workers 1000] [--columns 100] [--rounds 60]
    python benchmarks/swarm.py --workers 3000
    python benchmarks/swarm.py --against CHECKOUT [--alternations 3]
    python benchmarks/swarm.py --bare [--alternations 3]
    python benchmarks/swarm.py --growth docs/figures/swarm.svg

A real master (`erasurehead master`, uncoded, plain gradient descent) trains with workers that one
other process plays over as many sockets (`swarm_workers.py`): they answer at once, with a gradient
that is made once for all. Both share this machine's cores. Printed: seconds from the first
connection to the first model, time of a round, processor time of the master and of the process that
plays the workers, per worker and round, and the master's memory after the warm-up and at the end.
The model that the master leaves is compared with the one that these gradients lead to.

With --against, another checkout of this repository makes the same run in turns with this one, with
workers that speak through its packages; medians and ratios are printed. The store is prepared by
the other checkout, as it cannot read a later format.

With --bare, a master that only receives, sums and sends (bare_master.py) serves the same workers in
turns with ours: the bound of what a master in Python can reach.

With --growth, runs of growing numbers of workers, and of columns, are drawn, and a straight line is
fitted to each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import numpy as np
import psutil
from against import HERE, write_bytecode
from few_rounds import numbers
from swarm_workers import Seen, aim

from erasurehead.process.descriptors import open_as_many_as_allowed
from erasurehead_cli.reproduce.beyond.earlier import packages
from erasurehead_cli.results.figures import COLOURS

STEP = 1e-3
LIMIT_S = 280.0
ROWS_A_WORKER = 2
PORTS = (20_000, 32_000)
ROUNDING = 1e-9
"""By how much the master's model may differ from the known one, relatively."""

GROWING_WORKERS, WITH_COLUMNS = (250, 500, 1000, 1500, 2000, 3000), 100
GROWING_COLUMNS, WITH_WORKERS = (100, 1000, 2500, 5000, 10_000), 250
GROWTH_ROUNDS = 40


@dataclass(frozen=True)
class Case:
    """One size of a run."""

    workers: int
    columns: int
    rounds: int

    def __str__(self) -> str:
        return f"{self.workers} workers, {self.columns} columns, {self.rounds} rounds"


def prepared(case: Case, checkout: Path, folder: Path) -> Path:
    """Return a store with two training rows for each worker, made by a checkout."""
    out = folder / f"store-{case.workers}-{case.columns}"
    if not out.exists():
        # A fifth of all rows are test rows.
        rows = -(-5 * ROWS_A_WORKER * case.workers // 4)
        command = [sys.executable, "-m", "erasurehead_cli", "prepare", "synthetic"]
        command += ["--out", str(out)]
        for option in (f"rows={rows}", f"columns={case.columns}", "nnz=4"):
            command += ["--option", option]
        environment = {**os.environ, "PYTHONPATH": packages(checkout)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return out


def measure(checkout: Path, case: Case, store: Path, *, bare: bool = False) -> Seen:
    """Run a master, or a bare one, and its workers by a checkout's code.

    Raises
    ------
    RuntimeError: the run failed, took too long, or left another model than it should.
    """
    environment = {**os.environ, "PYTHONPATH": packages(checkout)}
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        sizes = [str(case.workers), str(case.rounds)]
        command = [sys.executable, "-m", "erasurehead_cli", "master", str(store)]
        command += ["--bind", address, "--workers", str(case.workers)]
        command += ["--rounds", str(case.rounds), "--scheme", "uncoded", "--step", str(STEP)]
        command += ["--optimizer", "gradient-descent", "--l2", "0", "--quiet", "--out", str(out)]
        command += ["--evaluate-every-rounds", "1000000"]
        if bare:
            command = [sys.executable, str(HERE / "benchmarks" / "bare_master.py")]
            command += [str(store), address, *sizes]
        log = Path(folder) / "log"
        with log.open("w") as words:
            master = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=words, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_it_listens(master, port)
            play = [sys.executable, str(HERE / "benchmarks" / "swarm_workers.py"), address]
            play += [*sizes, str(master.pid)]
            done = subprocess.run(
                play, env=environment, check=True, stdout=subprocess.PIPE, timeout=LIMIT_S
            )
            code = master.wait(LIMIT_S)
        finally:
            master.kill()
            master.wait()
        if code:
            said = log.read_text(encoding="utf-8")
            raise RuntimeError(f"the master of {checkout} ended with {code}: {said}")
        if bare:
            return Seen(**json.loads(done.stdout))
        with np.load(out / "model.npz") as held:
            theta = np.asarray(held["theta"])
    known = aim(case.columns) * (1.0 - (1.0 - STEP) ** case.rounds)
    off = float(np.abs(theta - known).max() / np.abs(known).max())
    if off > ROUNDING:
        raise RuntimeError(f"the master's model is off by {off:.1e}; it should be exact")
    return Seen(**json.loads(done.stdout))


def free_port() -> int:
    """Return a port below those that the system gives to connections, which may be thousands."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _wait_until_it_listens(master: subprocess.Popen[bytes], port: int) -> None:
    """Wait, so that what is timed begins with connections and not with imports."""
    until = time.monotonic() + LIMIT_S
    while master.poll() is None and time.monotonic() < until:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                return
        time.sleep(0.05)
    raise RuntimeError("the master does not listen")


def per_worker_us(cpu_s: float, seen: Seen, case: Case) -> float:
    """Return microseconds of processor time for a worker and a round."""
    return cpu_s / seen.rounds / case.workers * 1e6


def growth_kib(seen: Seen) -> float:
    """Return by how much the master's memory grew in a round, by a line through what was seen."""
    sizes = np.array(seen.memory_bytes, dtype=float)
    if len(sizes) < 2:
        return 0.0
    return float(np.polyfit(np.linspace(0.0, seen.rounds, len(sizes)), sizes, 1)[0]) / 1024


QUANTITIES: Mapping[str, Callable[[Seen, Case], float]] = {
    "join, s": lambda seen, case: seen.joined_s,
    "round, ms": lambda seen, case: seen.round_s * 1e3,
    "median round, ms": lambda seen, case: seen.median_s * 1e3,
    "master's CPU, us": lambda seen, case: per_worker_us(seen.master_cpu_s, seen, case),
    "workers' CPU, us": lambda seen, case: per_worker_us(seen.workers_cpu_s, seen, case),
    "memory, MB": lambda seen, case: seen.memory_bytes[0] / 1e6,
    "at the end, MB": lambda seen, case: seen.memory_bytes[-1] / 1e6,
    "growth, KiB a round": lambda seen, case: growth_kib(seen),
}


def print_one(case: Case, seen: Seen) -> None:
    """Print what was seen of one run."""
    print(f"{case}")
    for name, of in QUANTITIES.items():
        print(f"  {name:22}{of(seen, case):10.2f}", flush=True)


def compare(case: Case, other: Path | None, alternations: int, folder: Path) -> None:
    """Run both in turns, which begins changing each time, and print medians and ratios.

    `other` is another checkout; None: the bare master.
    """
    ours_and_other = HERE, other
    found: dict[Path | None, list[Seen]] = {each: [] for each in ours_and_other}
    checkout = other or HERE
    write_bytecode({HERE, checkout})
    store = prepared(case, checkout, folder)
    for turn in range(alternations):
        for each in ours_and_other if turn % 2 == 0 else ours_and_other[::-1]:
            found[each].append(measure(each or HERE, case, store, bare=each is None))
    print(f"{case}, medians of {alternations}")
    print(f"  {'':22}{'this':>10}{'bare' if other is None else 'other':>10}{'ratio':>8}")
    for name, of in QUANTITIES.items():
        ours, theirs = (
            statistics.median(of(seen, case) for seen in found[each]) for each in ours_and_other
        )
        ratio = ours / theirs if theirs else float("nan")
        print(f"  {name:22}{ours:10.2f}{theirs:10.2f}{ratio:8.3f}", flush=True)


@dataclass(frozen=True)
class Line:
    """y = start + slope x, by least squares; `worst` is the largest |residual| over the mean."""

    start: float
    slope: float
    worst: float

    @classmethod
    def through(cls, x: Sequence[float], y: Sequence[float]) -> Line:
        """Fit one."""
        slope, start = np.polyfit(x, y, 1)
        off = np.abs(np.array(y) - (start + slope * np.array(x))).max()
        return cls(float(start), float(slope), float(off / np.mean(y)))

    def told(self, unit: str, across: str) -> str:
        """Say what it is."""
        return (
            f"{self.start:.3g} {unit} + {self.slope:.3g} {unit} a {across}; no value is further"
            f" from it than {self.worst:.0%} of their mean"
        )


def grow(figure: Path, folder: Path) -> None:
    """Run growing sizes, print lines through them, and draw both."""
    by_workers = [Case(k, WITH_COLUMNS, GROWTH_ROUNDS) for k in GROWING_WORKERS]
    by_columns = [Case(WITH_WORKERS, n, GROWTH_ROUNDS) for n in GROWING_COLUMNS]
    seen: dict[Case, Seen] = {}
    for case in (*by_workers, *by_columns):
        seen[case] = measure(HERE, case, prepared(case, HERE, folder))
        print_one(case, seen[case])
    workers, columns = list(map(float, GROWING_WORKERS)), list(map(float, GROWING_COLUMNS))
    many = f"workers, {WITH_COLUMNS} columns"
    panels = [
        ("a round (ms)", "worker", many, workers, [seen[c].round_s * 1e3 for c in by_workers]),
        ("joining (s)", "worker", many, workers, [seen[c].joined_s for c in by_workers]),
        (
            "a round (ms)",
            "column",
            f"columns, {WITH_WORKERS} workers",
            columns,
            [seen[c].round_s * 1e3 for c in by_columns],
        ),
    ]
    for name, across, label, x, y in panels:
        unit = name.partition("(")[2].rstrip(")")
        print(f"{name} by {label}: {Line.through(x, y).told(unit, across)}")
    draw(panels, figure)


def draw(
    panels: Sequence[tuple[str, str, str, Sequence[float], Sequence[float]]], out: Path
) -> None:
    """Draw values and the lines through them."""
    mpl.use("Agg")
    # Text stays text, and the same figure is the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "swarm"})
    from matplotlib import pyplot

    figure: Any
    figure, every = pyplot.subplots(1, len(panels), figsize=(3.6 * len(panels), 3.2))
    for axes, (name, _, label, x, y) in zip(every, panels, strict=True):
        line = Line.through(x, y)
        ends = np.array([0.0, max(x)])
        axes.plot(ends, line.start + line.slope * ends, color=COLOURS[1], linewidth=1.2)
        axes.plot(x, y, "o", color=COLOURS[0], markersize=5)
        axes.set(xlabel=label, ylabel=name, xlim=(0, None), ylim=(0, None))
        axes.grid(visible=True, linewidth=0.3)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=numbers, default=[1000], metavar="K[,K...]")
    parser.add_argument("--columns", type=numbers, default=[100], metavar="N[,N...]")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--bare", action="store_true", help="beside a master that decides nothing")
    parser.add_argument("--alternations", type=int, default=3)
    parser.add_argument("--growth", type=Path, metavar="FIGURE")
    given = parser.parse_args()
    most = max([*given.workers, *(GROWING_WORKERS if given.growth else ())])
    allowed = open_as_many_as_allowed()  # which the processes started from here inherit
    if allowed < 2 * most + 100:
        parser.error(f"{most} workers need {2 * most + 100} open files, and the limit is {allowed}")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if given.growth is not None:
            grow(given.growth, folder)
            return
        for workers in given.workers:
            for columns in given.columns:
                case = Case(workers, columns, given.rounds)
                if given.bare:
                    compare(case, None, given.alternations, folder)
                elif given.against is not None:
                    compare(case, given.against.resolve(), given.alternations, folder)
                else:
                    print_one(case, measure(HERE, case, prepared(case, HERE, folder)))


if __name__ == "__main__":
    main()
