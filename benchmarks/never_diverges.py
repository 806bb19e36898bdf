"""Does anchored L-BFGS ever end worse than it began? See docs/optimisers.md.

    python benchmarks/never_diverges.py [STORE ...] [--runs 500] [--rounds 150] [--rows 1500]
        [--seed 0] [--only 17] [--quick] [--keep FILE] [--page docs/optimisers.md]

Each run draws its data set (those made up in `made_up.py`, and the first rows of each STORE), its
penalty (0 to 1e-2), the scale of its columns (up to 10^-6 to 10^6), its code, its number of
arrivals, its delays, its faults and how far off its first step is. The real state machines and real
arithmetic run under a virtual clock. It prints the worst ten, and ends with exit code 1 if a run
diverged or ended above its start. `--quick` takes a few runs of everything; `--only N` runs number
N alone and prints its course. With `--keep`, the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from made_up import MADE_UP, scaled
from marked_section import table, write_section
from small_problem import Problem, some_rows

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_OK
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.virtual_run import run_virtually, worker_name

MEAN_S = 0.5
TRACE_ROUNDS = 64
CHURN_S = 60.0
"""For so long, workers die and come back."""

QUICK_RUNS, QUICK_ROUNDS = 24, 60

PENALTIES = (0.0, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
SCALES = (0.0, 0.0, 1.0, 3.0, 6.0)
FIRST_STEPS = (0.1, 1.0, 1.0, 10.0)
CODES = ((30, "frc:c=3"), (30, "frc:c=3"), (30, "frc:c=5"), (12, "frc:c=3"), (12, "uncoded"))
"""Workers, and what they are coded by."""

ARRIVALS = (1, 2, 3, 3, 5, 10)
MANNERS = (
    "exponential",
    "exponential",
    "pareto",
    "one unit 10 x slower",
    "one unit 100 x slower",
    "a fifth of the workers 8 x slower",
    "a fifth of the workers 100 x slower",
    "three dead",
    "a unit dies",
    "churn",
    "churn, elastic",
)


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes
    ----------
    powers: columns are multiplied by 10^-powers to 10^powers.
    manner: how workers are late.
    """

    number: int
    data: str
    l2: float
    powers: float
    workers: int
    code: str
    arrivals: int
    manner: str
    first_step: float
    seed: int

    def __str__(self) -> str:
        scale = f", columns x 10^±{self.powers:g}" if self.powers else ""
        step = f", first step x {self.first_step:g}" if self.first_step != 1 else ""
        return (
            f"{self.number}: {self.data}, l2 {self.l2:g}{scale}; {self.workers} workers,"
            f" {self.code}, r={self.arrivals}; {self.manner}{step}"
        )


@dataclass
class Outcome:
    """How a run went; values are of the objective.

    Attributes
    ----------
    values: after each round.
    ending: why it ended too soon; empty: it did not.
    """

    case: Case
    start: float
    values: list[float] = field(default_factory=list)
    ending: str = ""

    @property
    def reach(self) -> float:
        """How far it came down at most."""
        return self.start - min(self.values, default=self.start)

    @property
    def left(self) -> float:
        """What of that it has lost at its end: 0 if it ends where it was best, 1 if at its
        start, more above it."""
        if not self.values or not np.isfinite(self.values[-1]):
            return np.inf
        above = self.values[-1] - min(self.values)
        return above / self.reach if self.reach > 0 else np.inf * (above > 0)

    @property
    def peak(self) -> float:
        """The greatest objective, over that of the start."""
        return max(self.values, default=np.inf) / self.start

    @property
    def failed(self) -> bool:
        """Whether it diverged, or ended above its start."""
        return bool(self.ending) or not self.values or not self.values[-1] <= self.start


def draw_cases(data: Sequence[str], runs: int, seed: int) -> list[Case]:
    """Return cases; all data sets get as many, and all penalties and manners nearly as many."""
    rng = np.random.default_rng((0xD1CE, seed))
    cases = []
    for number in range(runs):
        turn = number // len(data)
        workers, code = CODES[rng.integers(len(CODES))]
        cases.append(
            Case(
                number=number,
                data=data[number % len(data)],
                l2=PENALTIES[turn % len(PENALTIES)],
                powers=SCALES[rng.integers(len(SCALES))],
                workers=workers,
                code=code,
                arrivals=ARRIVALS[rng.integers(len(ARRIVALS))],
                manner=MANNERS[(turn + number) % len(MANNERS)],
                first_step=FIRST_STEPS[rng.integers(len(FIRST_STEPS))],
                seed=1000 * seed + number,
            )
        )
    return cases


class Workshop:
    """Where cases are run.

    Parameters
    ----------
    sources: from the name of a data set to what writes it, given a path and a seed.
    """

    def __init__(
        self, directory: Path, sources: Mapping[str, Callable[[Path, int], Store]]
    ) -> None:
        self._directory = directory
        self._sources = sources
        self._stored = cache(self._store)

    def run(self, case: Case, rounds: int) -> Outcome:
        """Run a case."""
        store = self._stored(case.data, case.powers)
        scheme = f"{case.code} / first-copy / fraction:r={case.arrivals} / sag"
        if case.code == "uncoded":
            scheme = f"uncoded:r={case.arrivals},cache=sag"
        written = {
            "store": str(store.path),
            "scheme": scheme,
            "optimizer": f"anchored-lbfgs:first_step={case.first_step:g}",
            "workers": case.workers,
            "rounds": rounds,
            "seed": case.seed,
            "l2": case.l2,
            "until": "none",
            "evaluate_every_rounds": 1,
            "refit": {"elastic": case.manner.endswith("elastic"), "rebuild_after_s": 3.0},
        }
        settings = load(RunSettings, {**written, "delay": "none"}, environment={})
        code = settings.fitted().code
        units = code.unit_of_arrival
        rng = np.random.default_rng((0x5A1, case.seed))
        settings = load(
            RunSettings, {**written, "delay": self._delay(case, units, rng)}, environment={}
        )

        plan = make_plan(settings, store, None)
        dead = dying_slots(case, units, rng)
        held = code.matrix[np.setdiff1d(np.arange(case.workers), dead)]
        tasks = np.flatnonzero(np.asarray(held.sum(axis=0)).ravel())
        rows = np.concatenate([np.arange(lo, hi) for lo, hi in plan.ranges[tasks]])
        problem = Problem(store, case.l2, rows)
        outcome = Outcome(case, problem.value(np.zeros(store.manifest.columns)))

        def rate(model: FloatArray) -> dict[str, float]:
            with np.errstate(over="ignore", invalid="ignore"):
                outcome.values.append(problem.value(model))
            return {}

        summary = run_virtually(
            plan,
            store,
            [],
            0.0,
            rate=rate,
            disturb=lambda cluster: disturb(cluster, case, dead, rng),
        )
        if summary.exit_code != EXIT_OK:
            outcome.ending = summary.reason
        return outcome

    def _delay(self, case: Case, units: IntArray, rng: np.random.Generator) -> str:
        """Return the delay model's text."""
        if case.manner == "pareto":
            return "pareto:shape=1.1,scale_s=0.05"
        slow = np.ones(case.workers)
        if case.manner.startswith("one unit"):
            slow[units == units[rng.integers(case.workers)]] = float(case.manner.split()[2])
        elif case.manner.startswith("a fifth"):
            some = rng.permutation(case.workers)[: case.workers // 5]
            slow[some] = float(case.manner.split()[5])
        else:
            return f"exponential:mean_s={MEAN_S}"
        path = self._directory / f"trace-{case.number}.npz"
        np.savez(path, delays_s=MEAN_S * slow * rng.exponential(size=(TRACE_ROUNDS, case.workers)))
        return f"trace:file={path},block=1"

    def _store(self, data: str, powers: float) -> Store:
        path = self._directory / data.replace(" ", "-")
        if not powers:
            return self._sources[data](path, 0)
        return scaled(self._stored(data, 0.0), path.with_name(f"{path.name}-{powers:g}"), powers, 0)


def dying_slots(case: Case, units: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the slots whose workers die for good. Rows that nobody else has do not count."""
    if case.manner == "three dead":
        return rng.permutation(case.workers)[:3]
    if case.manner == "a unit dies":
        return np.flatnonzero(units == units[rng.integers(case.workers)])
    return np.zeros(0, dtype=np.int64)


def disturb(cluster: VirtualCluster, case: Case, dead: IntArray, rng: np.random.Generator) -> None:
    """Plan the faults of a case."""

    def kill(slot: int) -> None:
        for worker in list(cluster.workers.values()):
            if worker.alive and worker.name == worker_name(slot):
                cluster.depart(worker)

    def plan(at_s: float, slot: int, back_after_s: float | None = None) -> None:
        cluster.clock.at(at_s, lambda: kill(slot))
        if back_after_s is not None:
            cluster.clock.at(at_s + back_after_s, lambda: start(slot))

    def start(slot: int) -> None:
        kill(slot)
        cluster.start(worker_name(slot), slot)

    for slot in dead.tolist():
        plan(rng.exponential(1.0), slot)
    if case.manner.startswith("churn"):
        for at_s in np.cumsum(rng.exponential(0.2, round(CHURN_S / 0.2))).tolist():
            plan(at_s, int(rng.integers(case.workers)), rng.exponential(1.0))


def first_rows(path: str, n_rows: int) -> Callable[[Path, int], Store]:
    """Return what writes a store of some rows of another."""
    return lambda out, seed: some_rows(Store.open(path), n_rows, out)


def row(outcome: Outcome) -> list[str]:
    """Return an outcome's cells of the table."""
    case = outcome.case
    return [
        str(case),
        f"{outcome.start:.3g}",
        f"{min(outcome.values, default=np.nan):.3g}",
        f"{outcome.values[-1] if outcome.values else np.nan:.3g}",
        f"{100 * outcome.left:.2g} %",
        f"{outcome.peak:.3g}",
        outcome.ending or ("above its start" if outcome.failed else "-"),
    ]


def kept_outcomes(file: Path | None, cases: Sequence[Case]) -> dict[int, Outcome]:
    """Return the outcomes that a file holds of these very cases."""
    found: dict[int, Outcome] = {}
    if file is not None and file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            held = json.loads(line)
            number = held["number"]
            if number < len(cases) and held["case"] == str(cases[number]):
                found[number] = Outcome(
                    cases[number], held["start"], held["values"], held["ending"]
                )
    return found


def keep(file: Path, outcome: Outcome) -> None:
    """Add what there is to say of an outcome to a file."""
    values = outcome.values
    told = [min(values), max(values), values[-1]] if values else []
    held = {"number": outcome.case.number, "case": str(outcome.case), "start": outcome.start}
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps({**held, "values": told, "ending": outcome.ending}) + "\n")


def report(outcomes: Sequence[Outcome], rounds: int) -> str:
    """Return what the page says of all runs."""
    ordered = sorted(outcomes, key=lambda o: (o.failed, o.left, o.peak), reverse=True)
    failed = sum(outcome.failed for outcome in outcomes)
    lost = [sum(outcome.left > share for outcome in outcomes) for share in (0.1, 0.01)]
    high = sum(outcome.peak > 1.0 for outcome in outcomes)
    said = (
        f"{len(outcomes)} runs of {rounds} rounds: {failed} diverged or ended above their start."
        f" {lost[0]} ended more than a tenth of their way down above their best round, {lost[1]}"
        f" more than a hundredth; {high} were above their start in some round. The worst ten:"
    )
    head = ["run", "start", "least", "end", "lost", "peak / start", "failed"]
    return "\n".join(
        [textwrap.fill(said, 100), "", table(head, [row(outcome) for outcome in ordered[:10]])]
    )


def run_all(
    stores: Sequence[str],
    runs: int,
    rounds: int,
    rows: int,
    seed: int,
    only: int | None = None,
    file: Path | None = None,
) -> list[Outcome]:
    """Run cases on all made-up data sets and some rows of the stores; print those that fail.

    Outcomes that the file has are taken from there, and others are added to it.
    """
    sources = {**MADE_UP, **{Path(path).name: first_rows(path, rows) for path in stores}}
    cases = draw_cases(list(sources), runs, seed)
    outcomes = kept_outcomes(file, cases)
    with tempfile.TemporaryDirectory() as directory:
        workshop = Workshop(Path(directory), sources)
        for case in cases if only is None else [cases[only]]:
            if case.number in outcomes:
                continue
            outcome = outcomes[case.number] = workshop.run(case, rounds)
            if file is not None:
                keep(file, outcome)
            if outcome.failed:
                print(" | ".join(row(outcome)), flush=True)
    return [outcomes[number] for number in sorted(outcomes)]


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stores", nargs="*", metavar="STORE")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    if given.quick:
        given.runs, given.rounds = QUICK_RUNS, QUICK_ROUNDS
    begun = time.monotonic()
    outcomes = run_all(
        given.stores,
        given.runs,
        given.rounds,
        given.rows,
        given.seed,
        given.only,
        given.keep,
    )
    if given.only is not None:
        print(" ".join(f"{value:.4g}" for value in outcomes[0].values))
    text = report(outcomes, given.rounds)
    print(text)
    print(f"{time.monotonic() - begun:.0f} s")
    if given.page is not None:
        write_section(given.page, "never-diverges", text)
    sys.exit(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    main()
