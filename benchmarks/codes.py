"""Which code, decoder, cache and stop rule gets where, and when? See docs/codes-measured.md.

    python benchmarks/codes.py STORE [--rows 3000] [--rounds 250] [--out docs/codes-measured.md]

STORE is Covertype (or any other logistic store). 30 simulated workers hold at most a tenth of the
rows on average (3 of 30 tasks, or the like of it; `design` a fifth). The real state machines and
real arithmetic run under a virtual clock and three delay models, gradient descent with step
1/curvature and l2 = 0.5; delays, codes and task order derive from seed 0, so every scheme meets the
same delays and the table comes out the same again. The benchmark replaces the text between the two
markers of the page.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plain import PLAIN
from small_problem import Problem, some_rows

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead.straggling.unequal_exponential import UnequalExponentialDelay
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

WORKERS, SEED, L2 = 30, 0, 0.5
DESIGN_WORKERS = 31
"""The nearest number for which there is a projective plane; its load is 6."""

TASK_S = 0.05
"""Seconds to compute the gradient of one of 30 tasks."""

SHIFT_S, PATIENCE_S = 1.0, 0.5
"""Of the heterogeneous workers: what everybody takes, and what they are given beyond it and three
tasks."""

SETTLED = 4
"""Times a code is built for the probabilities to be late that its loads bring about."""

TARGETS = (1e-2, 1e-4)
ENOUGH = 1e-8
"""A gap this small, relative to that of the first model, is as good as none: the run ends."""

BEGIN, END = "<!-- codes-table:begin -->", "<!-- codes-table:end -->"


@dataclass(frozen=True)
class Weather:
    """A delay model, and the stop rule with which approximate schemes meet it.

    Attributes
    ----------
    pass_s: seconds in which one worker would compute the gradient of all rows.
    stop: of approximate schemes.
    late: probability of each slot to be late for that rule, by the share of the tasks that it
        holds; for codes that want to know.
    """

    title: str
    text: str
    delay: str
    pass_s: float
    stop: str
    late: Callable[[FloatArray], FloatArray]


def weathers() -> list[Weather]:
    """Return the three models."""
    unequal = DELAYS.build("unequal-exponential:low=0.1,high=2", WORKERS, SEED)
    bimodal = DELAYS.build("bimodal:base_s=3,eps=0.1", WORKERS, SEED)
    assert isinstance(unequal, UnequalExponentialDelay)
    slow = bimodal.delays_s(1, 1.0) > 10.0
    pass_s = TASK_S * WORKERS
    deadline_s = SHIFT_S + 3 * TASK_S + PATIENCE_S
    return [
        Weather(
            "Exponential",
            "Every worker is held up by Exp(0.5 s) in every round, and computes one task in"
            f" {TASK_S:g} s."
            " Approximate schemes stop at the 15th arrival.",
            "exponential:mean_s=0.5",
            pass_s,
            "fraction:r=15",
            lambda shares: np.full(WORKERS, 0.5),
        ),
        Weather(
            "Persistent bimodal",
            f"{int(slow.sum())} of the 30 workers {'is' if slow.sum() == 1 else 'are'} ten times"
            " slower for good; the others take 0.1 s a task and some percent. Approximate schemes"
            f" stop at the {WORKERS - int(slow.sum())}th arrival, before the slow ones answer.",
            "bimodal:base_s=3,eps=0.1",
            0.0,
            f"fraction:r={WORKERS - int(slow.sum())}",
            lambda shares: np.where(slow, 0.95, 0.05),
        ),
        Weather(
            "Heterogeneous",
            f"Worker i takes {SHIFT_S:g} s + Exp(rate ψ_i) and {TASK_S:g} s a task,"
            f" ψ_i ~ U(0.1, 2). Approximate schemes stop at the deadline of {deadline_s:g} s, at"
            " which worker i with 3 tasks is missing with probability p_i = exp(-ψ_i/2), on"
            f" average {np.mean(unequal.late_probabilities(SHIFT_S + PATIENCE_S)):.2f}; codes that"
            " use the p_i are given those of their own loads.",
            "unequal-exponential:low=0.1,high=2",
            pass_s,
            f"deadline:after_s={deadline_s:g}",
            lambda shares: unequal.late_probabilities(deadline_s - shares * pass_s),
        ),
    ]


EXACT = (
    "uncoded",
    "egc:c=3",
    "cyclic-repetition:s=2",
    "cyclic-mds:s=2,field=complex",
    "reed-solomon:s=2",
    "heterogeneous:s=2",
    "partial:s=4,alpha=6",
)

APPROXIMATE = (
    "uncoded / first-copy:scale=coverage / STOP",
    "frc:c=3 / first-copy:scale=none / STOP",
    "frc:c=3 / first-copy:scale=unbiased / STOP",
    "frc:c=3 / first-copy:scale=coverage / STOP",
    "frc:c=3 / first-copy:scale=group / STOP",
    "frc:c=3,groups=balanced,p=LATE / first-copy:scale=group,p=LATE / STOP",
    "coupon:c=3 / first-copy:scale=coverage / STOP",
    "bernoulli:c=3 / one-step:scale=optimal / STOP",
    "bernoulli:c=3 / least-squares / STOP",
    "regularized-bernoulli:c=3 / least-squares / STOP",
    "stochastic-block:c=3 / least-squares / STOP",
    "regular:c=3 / least-squares / STOP",
    "pairwise-balanced:d=3 / fixed:p=LATE / STOP",
    "pairwise-balanced:d=3 / fixed:p=LATE,shrink=mse / STOP",
    "expander:d=3 / least-squares / STOP",
    "expander:d=3 / algorithmic / STOP",
    "graph:d=3 / component / STOP",
    "cyclic-sums:c=3 / circular / STOP",
    "hybrid-sums:c1=1,c2=2,groups=10 / disjoint / STOP",
    "osgc:p=LATE / fixed:p=LATE / STOP",
    "osgc:p=LATE / fixed:p=LATE,shrink=mse / STOP",
    "osgc:p=LATE,allocation=shared / fixed:p=LATE / STOP",
    "osgc:p=LATE,allocation=chain / fixed:p=LATE / STOP",
    "matched-cyclic:c=3,p=LATE / fixed:p=LATE / STOP",
    "frc:c=3 / first-copy:scale=coverage / residual:epsilon=0.15",
    "frc:c=3 / first-copy:scale=coverage / adaptive",
    "design / one-step:scale=optimal / STOP",
)

CACHED = (
    "uncoded / first-copy:scale=coverage / STOP / saga",
    "uncoded / first-copy:scale=coverage / STOP / sag",
    "uncoded / first-copy:scale=coverage / adaptive / sag",
    "frc:c=3 / first-copy:scale=coverage / STOP / saga",
    "frc:c=3 / first-copy:scale=coverage / STOP / sag",
    "frc:c=3 / first-copy:scale=coverage / STOP / svrg:every=20",
    "frc:c=3 / first-copy:scale=coverage / adaptive / sag",
    "graph:d=3 / component / STOP / sag",
    "cyclic-sums:c=3 / circular / STOP / sag",
    "pairwise-balanced:d=3 / fixed:p=LATE / STOP / sag",
    "osgc:p=LATE / fixed:p=LATE / STOP / sag",
)


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes
    ----------
    mean_load, most_load: share of all rows that workers hold on average and at most, in thirtieths.
    floor: median gap of the last 50 rounds, relative to the first model's; 0 if as good as none.
    reached: (rounds, seconds) to each target, or None.
    """

    mean_load: float
    most_load: float
    round_s: float
    floor: float
    reached: list[tuple[int, float] | None]


class Clock(Observer):
    """Keeps when rounds closed."""

    def __init__(self) -> None:
        self.closed_s: list[float] = []

    def round_over(self, record: RoundRecord) -> None:
        self.closed_s.append(record.closed_s)


def knowing(scheme: str, weather: Weather) -> str:
    """Return the scheme with its stop rule and the probabilities to be late for it.

    These depend on the loads, and the loads on them, so the code is built until they agree.
    """
    scheme = scheme.replace("STOP", weather.stop)
    if "LATE" not in scheme:
        return scheme
    shares = np.full(WORKERS, 3 / WORKERS)
    for _ in range(SETTLED):
        late = "/".join(f"{p:.4f}" for p in weather.late(shares))
        told = scheme.replace("LATE", late)
        code = Coding.of(parse(told), WORKERS, seed=SEED).code
        shares = code.loads / code.n_tasks
    return told


def exists(scheme: str, weather: Weather) -> bool:
    """False for the one scale that needs a fixed number of arrivals, where there is none."""
    return "scale=unbiased" not in scheme or weather.stop.startswith("fraction")


def workers_of(scheme: str) -> int:
    """Return k: 30, or the nearest for which there is such a code."""
    return DESIGN_WORKERS if scheme.startswith("design") else WORKERS


def play(store: Store, problem: Problem, scheme: str, weather: Weather, rounds: int) -> Outcome:
    """Simulate one run."""
    given = {
        **PLAIN,
        "store": str(store.path),
        "scheme": knowing(scheme, weather),
        "workers": workers_of(scheme),
        "rounds": rounds,
        "seed": SEED,
        "l2": L2,
        "delay": weather.delay,
        "evaluate_every_rounds": 1,
    }
    plan = make_plan(load(RunSettings, given, environment={}), store, None)
    gaps: list[float] = []

    def rate(model: FloatArray) -> dict[str, float]:
        gaps.append(problem.gap(model) / problem.initial)
        return {}

    clock = Clock()
    run_virtually(
        plan,
        store,
        [clock],
        weather.pass_s,
        rate=rate,
        enough=lambda record: gaps[-1] < ENOUGH,
    )
    found = np.array(gaps)
    thirtieths = plan.code.loads / plan.code.n_tasks * WORKERS
    floor = 0.0 if found[-1] < ENOUGH else float(np.median(found[-50:]))
    reached: list[tuple[int, float] | None] = []
    for target in TARGETS:
        there = np.flatnonzero(found <= target)
        # Noise may touch the minimum, and a biased estimate pass by it, without staying there.
        stays = len(there) > 0 and floor <= target
        reached.append((int(there[0]) + 1, clock.closed_s[there[0]]) if stays else None)
    return Outcome(
        mean_load=float(thirtieths.mean()),
        most_load=float(thirtieths.max()),
        round_s=clock.closed_s[-1] / len(found),
        floor=floor,
        reached=reached,
    )


def row(scheme: str, outcome: Outcome) -> str:
    """Return a row of the table."""
    shown = scheme.replace("LATE", "p").replace(" / STOP", " / stop").replace("p=p", "p")
    load, most = f"{outcome.mean_load:.2g}", f"{outcome.most_load:.2g}"
    if most != load:
        load += f" ({most})"
    name = f"`{shown}`"
    if workers_of(scheme) != WORKERS:
        name += f" ({workers_of(scheme)} workers)"
    cells = [name, load, f"{outcome.round_s:.2f}"]
    for reached in outcome.reached:
        cells += ["-", "-"] if reached is None else [f"{reached[0]}", f"{reached[1]:.0f}"]
    cells.append("none" if outcome.floor == 0.0 else f"{outcome.floor:.0e}")
    return "| " + " | ".join(cells) + " |"


def paragraph(text: str) -> str:
    """Return a text in lines of the page's width."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def section(store: Store, problem: Problem, weather: Weather, rounds: int) -> list[str]:
    """Run everything under one delay model; return its part of the page."""
    near, far = (f"{100 * target:g} %" for target in TARGETS)
    lines = [
        paragraph(f"**{weather.title}.** {weather.text}"),
        "",
        f"| scheme | load | s a round | rounds to {near} | s to {near} | rounds to {far} |"
        f" s to {far} | floor |",
        "| --- " + "| ---: " * 7 + "|",
    ]
    for scheme in (*EXACT, *APPROXIMATE, *CACHED):
        if not exists(scheme, weather):
            continue
        lines.append(row(scheme, play(store, problem, scheme, weather, rounds)))
        print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=250)
    parser.add_argument("--out", type=Path, default=Path("docs/codes-measured.md"))
    given = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        source = Store.open(given.store)
        store = some_rows(source, given.rows, Path(scratch) / "rows")
        problem = Problem(store, L2)
        lines = [
            paragraph(
                f"`python benchmarks/codes.py STORE`: {given.rows:,} rows of {source.manifest.name}"
                f" on {store.manifest.columns:,} columns, logistic with l2 = {L2:g}, 30 workers,"
                f" gradient descent with step 1/curvature, at most {given.rounds} rounds, seed"
                f" {SEED}, times of a virtual clock. Load counts thirtieths of all rows on a"
                " worker, on average (and on the fullest)."
                " Targets and floor are (f - f*) / (f_0 - f*). The floor is the median of the last"
                " 50 rounds; none: below 1e-8. A target below the floor does not count. `stop` is"
                " the rule that the text before the table names, `p` the probabilities to be late"
                " for it."
            ),
            "",
        ]
        for weather in weathers():
            lines += section(store, problem, weather, given.rounds)
    page = given.out.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    text = "\n".join([BEGIN, "", *lines, END])
    given.out.write_text(head + text + tail, encoding="utf-8")
    print(f"wrote {given.out} after {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
