"""Does cached decoding remove the floor on which approximate decoding stalls?

    python benchmarks/cache_floor.py STORE [--out docs/figures/cache-floor.png]

STORE is KC Housing or any other least-squares store; 1,500 of its rows are used, with l2 = 0.5 and
step 1/curvature. 30 simulated workers with exponential delays of mean 0.5 s (seed 0) run exact
gradient coding, ErasureHead at r = 11, and the same with each cache: the real state machines and
real arithmetic under a virtual clock. Draws the gap to the minimum and prints where each ends.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from plain import PLAIN
from small_problem import Problem, some_rows

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.results.figures import COLOURS
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

ROWS, L2, WORKERS, ROUNDS, SEED = 1500, 0.5, 30, 400, 0

SCHEMES = {
    "exact (egc, c = 3)": "egc:c=3",
    "agc, c = 3, r = 11": "agc:c=3,r=11",
    "agc + saga": "agc:c=3,r=11,cache=saga",
    "agc + sag": "agc:c=3,r=11,cache=sag",
    "agc + svrg, every 20": "agc:c=3,r=11,cache=svrg:every=20",
    "uncoded, r = 11": "uncoded:r=11",
    "uncoded, r = 11, + sag": "uncoded:r=11,cache=sag",
}


class Clock(Observer):
    """Keeps when rounds closed."""

    def __init__(self) -> None:
        self.closed_s: list[float] = []

    def round_over(self, record: RoundRecord) -> None:
        self.closed_s.append(record.closed_s)


def descend(store: Store, problem: Problem, scheme: str) -> tuple[FloatArray, FloatArray]:
    """Return the relative gap (f - f*) / f* after each round, and when each closed."""
    given = {
        **PLAIN,
        "store": str(store.path),
        "scheme": scheme,
        "workers": WORKERS,
        "rounds": ROUNDS,
        "seed": SEED,
        "l2": L2,
        "delay": "exponential:mean_s=0.5",
        "evaluate_every_rounds": 1,
    }
    gaps: list[float] = []

    def rate(model: FloatArray) -> dict[str, float]:
        gaps.append(problem.gap(model) / problem.least)
        return {}

    clock = Clock()
    plan = make_plan(load(RunSettings, given, environment={}), store, None)
    run_virtually(plan, store, [clock], 0.0, rate=rate)
    return np.array(gaps), np.array(clock.closed_s)


def draw(runs: dict[str, tuple[FloatArray, FloatArray]], out: Path) -> None:
    """Draw gap against rounds and against simulated time."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    # Wide and pale below narrow and dark: several curves lie on each other.
    for i, (name, (gaps, closed_s)) in enumerate(runs.items()):
        style: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "linewidth": 3.4 - 0.4 * i}
        left.semilogy(np.arange(1, len(gaps) + 1), gaps, label=name, **style)
        right.semilogy(closed_s, gaps, **style)
    for axes in (left, right):
        axes.axhline(1e-12, color="#777777", linewidth=0.8, linestyle=":")
        axes.grid(visible=True, linewidth=0.3)
    left.set_xlabel("rounds")
    left.set_ylabel("(f - f*) / f*")
    right.set_xlabel("simulated time (s)")
    right.set_xlim(0, max(closed_s[-1] for name, (_, closed_s) in runs.items() if "agc" in name))
    left.set_ylim(1e-17, 10)
    figure.legend(*left.get_legend_handles_labels(), loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)


def main() -> None:
    """Run, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--out", type=Path, default=Path("docs/figures/cache-floor.png"))
    given = parser.parse_args()
    runs = {}
    with tempfile.TemporaryDirectory() as scratch:
        store = some_rows(Store.open(given.store), ROWS, Path(scratch) / "rows")
        problem = Problem(store, L2)
        print(f"{'scheme':26} {'floor':>8} {'last':>8} {'rounds to 1e-12':>16} {'seconds':>8}")
        for name, scheme in SCHEMES.items():
            gaps, closed_s = runs[name] = descend(store, problem, scheme)
            there = np.flatnonzero(gaps <= 1e-12)
            rounds = f"{there[0] + 1:16d} {closed_s[there[0]]:8.1f}" if len(there) else f"{'-':>16}"
            floor = np.median(gaps[-100:])
            print(f"{name:26} {floor:8.1e} {gaps[-1]:8.1e} {rounds}", flush=True)
    draw(runs, given.out)


if __name__ == "__main__":
    main()
