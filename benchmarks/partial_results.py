"""Does it pay to send the gradient of each task as soon as it is there, and not all at the end?

    python benchmarks/partial_results.py STORE --l2 1e-4 [--optimum optimum.npz] [--rows 20000]
        [--workers 30] [--seeds 7,8,9] [--load 3] [--law slow --law half ...]

A worker that has done two of its three tasks when a round closes has computed for nothing. With
*partial results* (`frc:c=3,parts=tasks`, after arXiv 2405.19509) it sends each task's gradient by
itself, and the copies of a block begin with different tasks, so that what comes early is not three
times the same. Its price is as many times the messages, and the bytes, and as many times the
vectors in a cache.

The real state machines and real arithmetic run under a virtual clock, with the cached scheme, the
first-copy decoder and the method that suits them. A worker's time is an injected delay that is
proportional to its rows, and passes evenly over its tasks.

Printed: rounds, drawn seconds and megabytes of models and results to a gap of 1e-3, medians over
the seeds, and the ratio of seconds to whole results as they are by default; each is closed after
several numbers of results.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from few_rounds import Course, numbers
from small_problem import Problem, add_problem, given_problem

from erasurehead.datasets.store import Store
from erasurehead.records import Level
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

MARKS = (1e-3,)
ROUNDS = 400

LAWS = {
    "slow": "bimodal:eps=0.2,factor=5,base_s=8,jitter=0.25",
    "half": "shifted-exponential:shift_s=5,mean_s=5",
    "alike": "shifted-exponential:shift_s=8,mean_s=2",
    "exponential": "shifted-exponential:shift_s=0,mean_s=10",
}
"""Delays in proportion to the load, with a mean of 10 s for all rows (of workers that are not
always slow: one in five is five times slower)."""


class Told(Course):
    """A course that says nothing of slow workers, which are meant to be there."""

    def notice(self, level: Level, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Cost:
    """What it takes to come to the mark."""

    rounds: float
    seconds: float
    megabytes: float


def cost(
    store: Store, problem: Problem, given: argparse.Namespace, law: str, scheme: str
) -> Cost | None:
    """Return the medians over the seeds; None if a run does not come to the mark."""
    found = []
    for seed in given.seeds:
        written = {
            "store": given.store,
            "scheme": scheme,
            "workers": given.workers,
            "rounds": ROUNDS,
            "seed": seed,
            "l2": given.l2,
            "delay": LAWS[law],
            "evaluate_every_rounds": 1,
            "until": "none",
        }
        course = Told(MARKS)
        run_virtually(
            make_plan(load(RunSettings, written, environment={}), store, None),
            store,
            [course],
            0.0,
            rate=problem.rate,
            enough=lambda _, course=course: not course.left,  # type: ignore[misc]
        )
        if course.left:
            return None
        ((rounds, seconds),) = course.reached
        found.append((rounds, seconds, sum(course.bytes_moved[:rounds]) / 1e6))
    return Cost(*map(statistics.median, zip(*found, strict=True)))


def schemes(workers: int, load: int) -> Sequence[str]:
    """Return schemes; the first has whole results, and closes its rounds as by default."""
    usual = max(2, round(0.1 * workers))
    ending = "first-copy:scale=coverage / fraction:r={r} / sag"
    closing = {
        f"frc:c={load}": [usual, workers // 6, workers // 3, workers // 2],
        "uncoded": [2 * usual, 3 * usual],
        f"frc:c={load},parts=tasks": [load * usual, 2 * load * usual],
    }
    return [f"{code} / {ending.format(r=r)}" for code, all_r in closing.items() for r in all_r]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_problem(parser)
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--load", type=int, default=3, help="tasks of a worker")
    parser.add_argument("--seeds", type=numbers, default=[7, 8, 9])
    parser.add_argument("--law", action="append", choices=list(LAWS))
    given = parser.parse_args()
    store, problem = given_problem(given)
    for law in given.law or LAWS:
        print(f"{LAWS[law]}\n{'':70}{'rounds':>8}{'seconds':>9}{'ratio':>7}{'MB':>8}")
        base_s: float | None = None
        for scheme in schemes(given.workers, given.load):
            found = cost(store, problem, given, law, scheme)
            if found is None:
                print(f"{scheme:70}{'not reached':>17}", flush=True)
                continue
            base_s = base_s or found.seconds
            print(
                f"{scheme:70}{found.rounds:8.0f}{found.seconds:9.2f}"
                f"{found.seconds / base_s:7.2f}{found.megabytes:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
