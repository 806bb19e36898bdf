"""How many bytes does a round take, and how many rounds a run, by how vectors travel?

    python benchmarks/bytes.py STORE:L2:OPTIMUM ... [--scheme cached:c=3] [--workers 30]
        [--seeds 7,8,9,10,11] [--rounds 300] [--page docs/codes-measured.md]

For each store (with the penalty, and a file that has the optimum's model as `w`) and each way to
send models and results: bytes of a round, as a share of sending every worker the whole model and
getting a whole gradient back, both in double precision; and the rounds until the gap to the optimum
is 1e-3 of that of a model of zeros (median over seeds, least to greatest), beside those of `f8`.
Drawn delays under a virtual clock, the real state machines, the default method.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from few_rounds import Course, numbers, run
from marked_section import table, write_section
from small_problem import Problem

from erasurehead.datasets.store import Store
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings

MARK = 1e-3
"""Share of the gap of a model of zeros."""

WAYS = (("f8", "none"), ("f2", "f2"), ("f4", "f12"), ("f8", "f1"))
"""Vector formats of results (and of models, where these are sent whole) and of differences."""

HEAD = ("set", "results", "models", "bytes a round", "rounds to 1e-3", "over f8")


def share_moved(course: Course, n_workers: int, n_columns: int) -> float:
    """Return the bytes of a round until the mark, over those without any thrift."""
    rounds = course.reached[0][0] if course.reached else len(course.bytes_moved)
    return float(np.mean(course.bytes_moved[:rounds])) / (2 * n_workers * 8 * n_columns)


def measure(
    path: str, l2: float, optimum: Path, given: argparse.Namespace
) -> Sequence[Sequence[str]]:
    """Return the rows of a table on one store."""
    store = Store.open(path)
    problem = Problem(store, l2)
    problem.best = np.load(optimum)["w"]
    rows, plain = [], np.nan
    for results, differences in WAYS:
        reached, moved = [], []
        for seed in given.seeds:
            written = {
                "store": path,
                "scheme": given.scheme,
                "workers": given.workers,
                "rounds": given.rounds,
                "seed": seed,
                "l2": l2,
                "delay": given.delay,
                "evaluate_every_rounds": 1,
                "until": "none",
                "wire": {"format": results, "differences": differences},
            }
            settings = load(RunSettings, written, environment={})
            course = run(store, problem, settings, [MARK])
            moved.append(share_moved(course, given.workers, store.manifest.columns))
            reached.append(course.reached[0][0] if course.reached else np.inf)
        middle = float(np.median(reached))
        plain = middle if (results, differences) == WAYS[0] else plain
        whole = f"whole, {results}" if differences == "none" else f"differences, {differences}"
        rows.append(
            [
                store.manifest.name,
                results,
                whole,
                f"{np.median(moved):.2%}",
                f"{middle:.0f} ({min(reached):.0f} to {max(reached):.0f})",
                f"{middle / plain:.2f}",
            ]
        )
        print(" | ".join(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stores", nargs="+", metavar="STORE:L2:OPTIMUM")
    parser.add_argument("--scheme", default="cached:c=3")
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--seeds", type=numbers, default=[7, 8, 9, 10, 11])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--delay", default="exponential:mean_s=0.5")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    rows: list[Sequence[str]] = []
    for described in given.stores:
        path, l2, optimum = described.split(":")
        rows += measure(path, float(l2), Path(optimum), given)
    text = table(HEAD, rows)
    print(text)
    if given.page is not None:
        write_section(given.page, "bytes", text)


if __name__ == "__main__":
    main()
