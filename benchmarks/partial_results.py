"""Would it pay to send the gradient of each task as soon as it is there, and not all at the end?

    python benchmarks/partial_results.py STORE --l2 1e-4 [--optimum optimum.npz] [--rows 20000]
        [--workers 30] [--seeds 7,8,9] [--load 3]

A worker that has done two of its three tasks when a round closes has computed for nothing. With
*partial results* (after arXiv 2405.19509) it sends each task's gradient by itself, and the copies
of a block begin with different tasks, so that what comes early is not three times the same. Its
price is as many times the messages, and the bytes where tasks share columns.

The real state machines and real arithmetic run under a virtual clock, with the cached scheme, the
first-copy decoder and the method that suits them. A worker's time is proportional to its rows, and
passes evenly over its tasks. Each part of a worker is a slot of its own here, which holds one task
and answers after its share of the worker's time: what the master sees is the same.

Printed: rounds and seconds to a gap of 1e-3, medians over the seeds, and the ratio to whole results
as they are by default; each is closed after several numbers of results.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from few_rounds import MARKS, Course, numbers
from small_problem import Problem

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode, repetition_code
from erasurehead.coding.frc import frc
from erasurehead.coding.groups import Groups
from erasurehead.datasets.store import Store
from erasurehead.records import Level
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.planner.problem import sample
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_simulator.virtual.virtual_run import NEVER_S, SEEN_ENOUGH, worker_name

MARK = 1
"""Which of the marks of `few_rounds` counts: a gap of 1e-3."""

ROUNDS = 400
SLOW_SHARE, SLOW_FACTOR = 0.2, 5.0
PASS_S = 10.0
"""Mean time in which one worker would do all tasks."""


def frc_in_parts(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: int,
) -> GradientCode:
    """Return fractional repetition whose workers send each task by itself.

    The slots c w, ..., c w + c - 1 are the parts of worker w, in the order in which it does them:
    a copy begins with the task after the one with which the copy before it begins.
    """
    workers = n_workers // c
    block_of_worker = frc(workers, None, rng, c=c).groups
    assert block_of_worker is not None
    seen = np.zeros(block_of_worker.count, dtype=np.int64)
    of_slot = np.empty(n_workers, dtype=np.int64)
    for worker, block in enumerate(block_of_worker.of_symbol):
        order = (np.arange(c) + seen[block]) % c
        seen[block] += 1
        of_slot[c * worker : c * (worker + 1)] = c * block + order
    return repetition_code("frc-in-parts", Groups(of_slot, np.arange(workers)))


CODES.register("frc-in-parts", frc_in_parts)

Times = Callable[[int, float], FloatArray]
"""From a round and a load (share of all tasks) to the seconds of each worker."""


def random_times(shift: float, workers: int, seed: int) -> Times:
    """Return shifted exponential times of mean PASS_S for all tasks; `shift` is a share of it."""
    text = f"shifted-exponential:shift_s={shift * PASS_S},mean_s={(1.0 - shift) * PASS_S}"
    return DELAYS.build(text, workers, seed).delays_s


def slow_times(workers: int, seed: int) -> Times:
    """Return times of which a fifth of the workers, always the same, need five times as much."""
    drawn = random_times(0.8, workers, seed)
    rng = np.random.default_rng((0x510, seed))
    factors = np.ones(workers)
    factors[rng.permutation(workers)[: round(SLOW_SHARE * workers)]] = SLOW_FACTOR
    return lambda round_, load: factors * drawn(round_, load)


LAWS: Mapping[str, Callable[[int, int], Times]] = {
    "exponential": partial(random_times, 0.0),
    "shifted exponential, half": partial(random_times, 0.5),
    "shifted exponential, 0.8": partial(random_times, 0.8),
    "a fifth five times slower": slow_times,
}


class Told(Course):
    """A course that says nothing of slow workers, which are meant to be there."""

    def notice(self, level: Level, text: str) -> None:
        """Say nothing."""


def play(store: Store, problem: Problem, settings: RunSettings, parts: int, times: Times) -> Course:
    """Run until the gap is below the mark.

    Parameters
    ----------
    parts: slots that are one worker.
    """
    signs = {"heartbeat_interval_s": NEVER_S, "silence_limit_s": NEVER_S}
    plan = make_plan(settings.changed(membership=signs), store, None)
    course = Told()
    load_share = parts * float(plan.code.loads[0]) / plan.code.n_tasks

    def compute_s(slot: int, part: int) -> float:
        worker, number = divmod(slot, parts)
        round_ = cluster.machine.training.round
        return float(times(round_, load_share)[worker]) * (number + 1) / parts

    def rate(model: FloatArray) -> dict[str, float]:
        gap = problem.gap(model) / problem.initial
        if gap <= MARKS[MARK]:
            cluster.clock.after(0.0, lambda: cluster.handle(SEEN_ENOUGH))
        return {"gap": gap}

    cluster = VirtualCluster(
        Master(plan, 0.0),
        make_descent(plan, store.train, column_squares=store.column_squares),
        RealArithmetic(store.train),
        Timing(compute_s=compute_s),
        [course],
        rating=lambda model: iter([rate(model)]),
    )
    for slot in range(plan.code.n_workers):
        cluster.start(worker_name(slot), slot)
    cluster.run()
    return course


def schemes(workers: int, load: int) -> list[tuple[str, int]]:
    """Return schemes and how many slots of them are one worker; the first is the default one."""
    usual = max(2, round(0.1 * workers))
    closing = sorted({usual, 2, workers // 6, workers // 3, workers // 2} - {1})
    closing.remove(usual)
    found = [
        (f"frc:c={load} / first-copy:scale=coverage / fraction:r={r} / sag", 1)
        for r in (usual, *closing)
    ]
    found += [
        (f"uncoded / first-copy:scale=coverage / fraction:r={r} / sag", 1)
        for r in (usual, 2 * usual, 3 * usual)
    ]
    found += [
        (f"frc-in-parts:c={load} / first-copy:scale=coverage / fraction:r={r} / sag", load)
        for r in (usual, 2 * usual, load * usual, 2 * load * usual, 3 * load * usual)
    ]
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--l2", type=float, required=True)
    parser.add_argument("--optimum", type=Path)
    parser.add_argument("--rows", type=int, help="train on the first rows alone")
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--load", type=int, default=3, help="tasks of a worker")
    parser.add_argument("--seeds", type=numbers, default=[7, 8, 9])
    parser.add_argument("--law", action="append", choices=list(LAWS))
    given = parser.parse_args()
    store = Store.open(given.store)
    if given.rows is not None:
        store = sample(store, given.rows, 1)
    problem = Problem(store, given.l2)
    if given.optimum is not None:
        problem.best = np.load(given.optimum)["w"]
    for law in given.law or LAWS:
        print(f"{law}\n{'':72}{'rounds':>8}{'seconds':>9}{'ratio':>7}")
        base_s: float | None = None
        for scheme, parts in schemes(given.workers, given.load):
            reached = []
            for seed in given.seeds:
                written = {
                    "store": given.store,
                    "scheme": scheme,
                    "workers": given.workers * parts,
                    "rounds": ROUNDS,
                    "seed": seed,
                    "l2": given.l2,
                    "evaluate_every_rounds": 1,
                    "until": "none",
                }
                settings = load(RunSettings, written, environment={})
                times = LAWS[law](given.workers, seed)
                course = play(store, problem, settings, parts, times)
                if len(course.reached) > MARK:
                    reached.append(course.reached[MARK])
            if len(reached) < len(given.seeds):
                print(f"{scheme:72}{'not reached':>17}", flush=True)
                continue
            rounds, seconds = (statistics.median(column) for column in zip(*reached, strict=True))
            base_s = base_s or seconds
            print(f"{scheme:72}{rounds:8.0f}{seconds:9.2f}{seconds / base_s:7.2f}", flush=True)


if __name__ == "__main__":
    main()
