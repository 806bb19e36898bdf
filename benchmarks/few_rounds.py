"""How many rounds, and how many drawn seconds, does a method take to come near the optimum?

    python benchmarks/few_rounds.py STORE --l2 1e-4 [--optimum optimum.npz] [--rows 60000]
        [--optimizer anchored-lbfgs] [--scheme "frc:c=3 / first-copy / fraction:r=3 / sag"]
        [--format f8] [--seeds 7,8,9] [--rounds 300] [--delay exponential:mean_s=0.5]
        [--workers 30] [--marks 1e-2,1e-3,1e-4] [--to-the-end]

For each optimizer, scheme and vector format (all three may be given several times), it prints the
rounds and the sum of the drawn delays until the gap to the optimum is as small a share (a mark) of
that of a model of zeros, the gap after the last round, and the largest and the least gap. The real
state machines and real arithmetic run under a virtual clock, in which computing and sending take no
time. The optimum's model is read from the file as `w`, or found by scipy.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from small_problem import Problem, add_problem, given_problem

from erasurehead.datasets.store import Store
from erasurehead.records import Level, Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

SCHEME = "frc:c=3 / first-copy / fraction:r=3 / sag"
MARKS = (1e-2, 1e-3, 1e-4)
"""Shares of the gap of a model of zeros."""


@dataclass
class Course(Observer):
    """When a run came near the optimum.

    Attributes
    ----------
    marks: shares of the gap of a model of zeros, the largest first.
    reached: rounds and seconds of the marks that the gap has reached, in their order.
    gaps: after each round.
    bytes_moved: by models and results of each round.
    """

    marks: Sequence[float] = MARKS
    reached: list[tuple[int, float]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    bytes_moved: list[int] = field(default_factory=list)

    def round_over(self, record: RoundRecord) -> None:
        """Look at the round's gap."""
        self.gaps.append(record.metrics["gap"])
        self.bytes_moved.append(record.bytes_out + record.bytes_in)
        while self.left and self.gaps[-1] <= self.left[0]:
            self.reached.append((record.round, record.closed_s))

    @property
    def left(self) -> Sequence[float]:
        """Marks that were not reached."""
        return self.marks[len(self.reached) :]

    def notice(self, level: Level, text: str) -> None:
        """Print what is amiss."""
        if level in ("warning", "error"):
            print(f"  {level}: {text}")

    def __str__(self) -> str:
        marks = itertools.zip_longest(self.marks, self.reached)
        columns = [f"{'-':>14}" if at is None else f"{at[0]:5d} {at[1]:7.1f}s" for _, at in marks]
        ends = f"worst {max(self.gaps):.1e}, best {min(self.gaps):.1e}"
        return " ".join(columns) + f"   {len(self.gaps):4d}: {self.gaps[-1]:.1e}, {ends}"


def run(
    store: Store,
    problem: Problem,
    settings: RunSettings,
    marks: Sequence[float] = MARKS,
    *,
    to_the_end: bool = False,
) -> Course:
    """Run until the last mark is reached, or there are no more rounds."""
    course = Course(marks)
    run_virtually(
        make_plan(settings, store, None),
        store,
        [course],
        0.0,
        rate=problem.rate,
        enough=lambda _: not to_the_end and not course.left,
    )
    return course


def numbers(text: str) -> Sequence[int]:
    """Read numbers between commas."""
    return [int(number) for number in text.split(",")]


def shares(text: str) -> Sequence[float]:
    """Read shares between commas."""
    return [float(share) for share in text.split(",")]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_problem(parser)
    parser.add_argument("--optimizer", action="append")
    parser.add_argument("--scheme", action="append")
    parser.add_argument("--format", action="append")
    parser.add_argument("--marks", type=shares, default=MARKS)
    parser.add_argument("--to-the-end", action="store_true", help="do all rounds")
    parser.add_argument("--seeds", type=numbers, default=[7, 8, 9])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--delay", default="exponential:mean_s=0.5")
    parser.add_argument("--workers", type=int, default=30)
    given = parser.parse_args()
    store, problem = given_problem(given)
    print(f"{'seed':>4} " + " ".join(f"{mark:>14.0e}" for mark in given.marks) + "   rounds: gap")
    for optimizer, scheme, vectors in itertools.product(
        given.optimizer or ["anchored-lbfgs"], given.scheme or [SCHEME], given.format or ["f8"]
    ):
        print(f"{optimizer}, {scheme}, {vectors}")
        for seed in given.seeds:
            written = {
                "store": given.store,
                "scheme": scheme,
                "optimizer": optimizer,
                "workers": given.workers,
                "rounds": given.rounds,
                "seed": seed,
                "l2": given.l2,
                "delay": given.delay,
                "evaluate_every_rounds": 1,
                "until": "none",
                "wire": {"format": vectors},
            }
            settings = load(RunSettings, written, environment={})
            course = run(store, problem, settings, given.marks, to_the_end=given.to_the_end)
            print(f"{seed:4d} {course}", flush=True)


if __name__ == "__main__":
    main()
