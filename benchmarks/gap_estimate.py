"""How far is the estimated gap from the true one, and what is left when a run is done by it?

    python benchmarks/gap_estimate.py STORE --l2 1e-4 [--optimum optimum.npz] [--rows 60000]
        [--optimizer anchored-lbfgs] [--scheme "frc:c=3 / first-copy / fraction:r=3 / sag"]
        [--seeds 1,2,3] [--rounds 300] [--delay exponential:mean_s=0.5] [--workers 30]

The real state machines and real arithmetic run under a virtual clock. It prints a row of the table
in docs/finishing.md: quantiles of the estimate over the true gap, after the rounds in which that is
from 3e-2 to 3e-5; the true gap over the bound when `--until gap:BOUND` would have ended the run,
for nine bounds from 1e-2 to 1e-4; and how many rounds that took, over the round in which the true
gap was first below the bound. The optimum's model is read from the file as `w`, or found by scipy.
"""

from __future__ import annotations

import argparse

import numpy as np
from small_problem import Problem, add_problem, given_problem

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.finishing.course import LOOK_BACK
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

SCHEME = "frc:c=3 / first-copy / fraction:r=3 / sag"
BOUNDS = np.geomspace(1e-2, 1e-4, 9)
COMPARED = (3e-5, 3e-2)
"""True gaps at which the estimate is compared."""


class Gaps(Observer):
    """The true gap and the estimate after each round."""

    def __init__(self) -> None:
        self.rounds: list[tuple[float, float]] = []

    def round_over(self, record: RoundRecord) -> None:
        """Keep both."""
        self.rounds.append((record.metrics["gap"], record.gap))


def play(store: Store, problem: Problem, settings: RunSettings) -> FloatArray:
    """Return the true gaps and the estimates, shape (2, rounds)."""
    gaps = Gaps()

    run_virtually(
        make_plan(settings, store, None),
        store,
        [gaps],
        0.0,
        rate=problem.rate,
        enough=lambda record: record.metrics["gap"] < 0.5 * COMPARED[0],
    )
    return np.array(gaps.rounds).T


def done_after(estimates: FloatArray, bound: float) -> int | None:
    """Return the round after which the condition is met, from 0."""
    for end in range(LOOK_BACK, len(estimates) + 1):
        recent = estimates[end - LOOK_BACK : end]
        if np.isfinite(recent).all() and recent.max() <= bound:
            return end - 1
    return None


def row(name: str, runs: list[FloatArray]) -> str:
    """Return a row of the table."""
    ratios, left, rounds = [], [], []
    for true, estimated in runs:
        known = np.isfinite(estimated) & (true > COMPARED[0]) & (true < COMPARED[1])
        ratios.append(estimated[known] / true[known])
        for bound in BOUNDS:
            done = done_after(estimated, bound)
            if done is not None:
                left.append(true[done] / bound)
                rounds.append((done + 1) / (int(np.argmax(true <= bound)) + 1))
    every = np.concatenate(ratios)
    low, middle, high = np.quantile(every, [0.05, 0.5, 0.95])
    within = np.mean((every > 1 / 3) & (every < 3))
    return (
        f"| {name} | {low:.2f}, {middle:.1f}, {high:.1f} | {100 * within:.0f} % |"
        f" {np.median(left):.2f}, {max(left):.1f} | {np.median(rounds):.2f} |"
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_problem(parser)
    parser.add_argument("--optimizer", default="anchored-lbfgs")
    parser.add_argument("--scheme", default=SCHEME)
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=["1", "2", "3"])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--delay", default="exponential:mean_s=0.5")
    parser.add_argument("--workers", type=int, default=30)
    given = parser.parse_args()
    store, problem = given_problem(given)
    runs = []
    for seed in given.seeds:
        written = {
            "store": given.store,
            "scheme": given.scheme,
            "optimizer": given.optimizer,
            "workers": given.workers,
            "rounds": given.rounds,
            "seed": int(seed),
            "l2": given.l2,
            "delay": given.delay,
            "evaluate_every_rounds": 1,
            "until": "none",
        }
        runs.append(play(store, problem, load(RunSettings, written, environment={})))
    print(row(f"{store.path.name}, l2 {given.l2:g}, {len(runs)} runs", runs), flush=True)


if __name__ == "__main__":
    main()
