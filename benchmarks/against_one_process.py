"""Without delays: is a cluster on this machine as fast as the best solver in one process?

    python benchmarks/against_one_process.py STORE --l2 1e-4 [STORE --l2 ...] [--workers 2,4,8]
        [--optima DIRECTORY] [--repeats 3] [--page docs/optimisers.md]

Each STORE has its penalty. Ours: seconds from the first round's opening (workers are ready) until
a round's model has a gap of 1e-3, the least over numbers of workers and over methods; models are
put aside, and rated afterwards. Theirs: seconds of the shortest fit whose model has that gap, by
the number of iterations or the tolerance, rows at hand as a matrix, without an intercept of their
own: scikit-learn's solvers, and where they can be imported LIBLINEAR (package liblinear-official,
-s 0) and Snap ML (package snapml, one thread). The gap is that of `erasurehead reproduce --beyond`,
whose optima DIRECTORY keeps.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from few_rounds import numbers
from marked_section import table, write_section
from scipy.sparse import csr_matrix

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.reproduce.beyond.optimum import Gaps, kept_gaps
from erasurehead_local.train import plan_here, run_planned

MARK = 1e-3
ENOUGH = 0.2
"""A run of ours ends when its estimate of the gap is this share of the mark."""

MOST_S = 120.0
HOPELESS, LEAST_LIMIT_S = 3.0, 1.0
"""A solver that takes so many times as long as the best is given up, but not before so long."""

MOST_ITERATIONS = 1024
TOLERANCES = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5)
DENSE_COLUMNS = 4000
"""Beyond so many, solvers that form a Hessian are left out."""

OURS = (
    ("uncoded", "lbfgs"),
    ("cached:c=1", "anchored-lbfgs"),
)

Fit = Callable[[float], FloatArray]
"""From a number of iterations, or a tolerance, to a model."""


@dataclass(frozen=True)
class Solver:
    """A solver of one process.

    Attributes
    ----------
    efforts: what to ask of it, less effort first.
    """

    name: str
    fit: Fit
    efforts: Sequence[float]


def iterations() -> list[float]:
    """Return numbers of iterations, each a third larger than the one before."""
    found = [1.0]
    while found[-1] < MOST_ITERATIONS:
        found.append(max(found[-1] + 1, round(found[-1] * 1.33)))
    return found


def solvers(store: Store, l2: float) -> Iterator[Solver]:
    """Yield those for the store's labels; all minimise the same objective."""
    x, y = store.train.matrix(), np.asarray(store.train.labels)
    n, columns = x.shape
    if store.manifest.target == "numbers":
        yield from _least_squares(x, y, l2)
        return
    from sklearn.linear_model import LogisticRegression

    def sklearn(solver: str, effort: str) -> Fit:
        def fit(much: float) -> FloatArray:
            asked = {"max_iter": int(much)} if effort == "max_iter" else {"tol": much}
            model = LogisticRegression(
                C=1.0 / (l2 * n), fit_intercept=False, solver=solver, **{"tol": 1e-12, **asked}
            )
            return np.asarray(model.fit(x, y).coef_[0])

        return fit

    names = ["saga", "newton-cg", "lbfgs"] + ["newton-cholesky"] * (columns <= DENSE_COLUMNS)
    for name in names:
        yield Solver(f"scikit-learn, {name}", sklearn(name, "max_iter"), iterations())
    yield Solver("scikit-learn, liblinear", sklearn("liblinear", "tol"), TOLERANCES)
    if find_spec("liblinear") is not None:
        tools: Any = import_module("liblinear.liblinearutil")
        prepared = tools.problem(y, csr_matrix(x))

        def liblinear(eps: float) -> FloatArray:
            model = tools.train(prepared, f"-s 0 -c {1.0 / (l2 * n):.17g} -e {eps:g} -B -1 -q")
            weights = np.ctypeslib.as_array(model.w, (columns,)).copy()
            return np.asarray(weights * model.get_labels()[0])

        yield Solver("LIBLINEAR -s 0", liblinear, TOLERANCES)
    if find_spec("snapml") is not None:
        snapml: Any = import_module("snapml")
        single = csr_matrix(x.astype(np.float32))

        def snap(much: float) -> FloatArray:
            model = snapml.LogisticRegression(
                regularizer=l2 * n,
                fit_intercept=False,
                max_iter=int(much),
                tol=1e-12,
                n_jobs=1,
            )
            return np.asarray(model.fit(single, y).coef_, dtype=np.float64).ravel()

        yield Solver("Snap ML, one thread", snap, iterations())


def _least_squares(x: Any, y: FloatArray, l2: float) -> Iterator[Solver]:
    from sklearn.linear_model import Ridge

    n = len(y)

    def ridge(solver: str) -> Fit:
        def fit(much: float) -> FloatArray:
            model = Ridge(
                alpha=l2 * n, fit_intercept=False, solver=solver, max_iter=int(much), tol=1e-12
            )
            return np.asarray(model.fit(x, y).coef_)

        return fit

    for name in ("saga", "lsqr", "sparse_cg"):
        yield Solver(f"scikit-learn, Ridge {name}", ridge(name), iterations())
    if find_spec("snapml") is not None:
        snapml: Any = import_module("snapml")
        single = csr_matrix(x.astype(np.float32))

        def snap(much: float) -> FloatArray:
            model = snapml.LinearRegression(
                regularizer=l2 * n, fit_intercept=False, max_iter=int(much), tol=1e-12, n_jobs=1
            )
            return np.asarray(model.fit(single, y).coef_, dtype=np.float64).ravel()

        yield Solver("Snap ML, one thread", snap, iterations())


def shortest_fit_s(solver: Solver, gaps: Gaps, repeats: int, most_s: float) -> float | None:
    """Return the seconds of the fit with the least effort that has the gap; None: none has, or it
    takes longer than `most_s`."""

    def fit(effort: float) -> tuple[float, float]:
        begun = time.perf_counter()
        model = solver.fit(effort)
        return time.perf_counter() - begun, float(gaps.of(model[np.newaxis])[0])

    fit(solver.efforts[0])  # what is loaded and compiled once
    lo, hi, step = -1, None, 0
    while hi is None:
        at = min(2**step - 1, len(solver.efforts) - 1)
        took_s, gap = fit(solver.efforts[at])
        if gap <= MARK:
            hi = at
        elif at == len(solver.efforts) - 1 or took_s > most_s:
            return None
        else:
            lo, step = at, step + 1
    while hi - lo > 1:
        middle = (lo + hi) // 2
        if fit(solver.efforts[middle])[1] <= MARK:
            hi = middle
        else:
            lo = middle
    return min(fit(solver.efforts[hi])[0] for _ in range(repeats))


class _Watch(Observer):
    """Keeps when rounds closed."""

    def __init__(self) -> None:
        self.closed_s: list[float] = []

    def round_over(self, record: RoundRecord) -> None:
        """Keep it."""
        self.closed_s.append(record.closed_s)


def ours_s(
    store: Store, l2: float, gaps: Gaps, scheme: str, optimizer: str, workers: int
) -> tuple[float, int] | None:
    """Return seconds and rounds until a model has the gap; None: it is not reached."""
    written = {
        "store": str(store.path),
        "scheme": scheme,
        "optimizer": optimizer,
        "step": "auto",
        "workers": workers,
        "rounds": 1000,
        "until": [f"gap:{ENOUGH * MARK:g}", f"time:{MOST_S:g}s"],
        "l2": l2,
        "evaluate_every_rounds": 1,
    }
    models: list[FloatArray] = []
    watch = _Watch()

    def put_aside(model: FloatArray) -> Iterator[dict[str, float] | None]:
        models.append(model.copy())
        yield {}

    planned = plan_here(load(RunSettings, written, environment={}), store)
    run_planned(planned, [watch], rating=put_aside)
    found = gaps.until(models, MARK)
    return (watch.closed_s[len(found) - 1], len(found)) if found[-1] <= MARK else None


def compare(store: Store, l2: float, gaps: Gaps, workers: Sequence[int], repeats: int) -> list[str]:
    """Return a row of the table."""
    best: tuple[float, str] | None = None
    for scheme, optimizer in OURS:
        for count in workers:
            for _ in range(repeats):
                took = ours_s(store, l2, gaps, scheme, optimizer, count)
                if took is not None and (best is None or took[0] < best[0]):
                    what = f"{optimizer}, {scheme}, {count} workers, {took[1]} rounds"
                    best = took[0], what
                print(f"  {scheme}, {optimizer}, {count} workers: {took}", flush=True)
    theirs: dict[str, float] = {}
    for solver in solvers(store, l2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that fits have not converged, which is the point
            most_s = max(LEAST_LIMIT_S, HOPELESS * min(theirs.values(), default=MOST_S))
            took_s = shortest_fit_s(solver, gaps, repeats, most_s)
        print(f"  {solver.name}: {took_s}", flush=True)
        if took_s is not None:
            theirs[solver.name] = took_s
    sklearn = {name: s for name, s in theirs.items() if name.startswith("scikit-learn")}
    fastest = min(sklearn, key=lambda name: sklearn[name])
    shown = [f"{store.manifest.name} (l2 {l2:g})"]
    least_s = min([*theirs.values(), *([best[0]] if best else [])])

    def told(seconds: float | None) -> str:
        if seconds is None:
            return "-"
        return f"**{seconds:.2f} s**" if seconds == least_s else f"{seconds:.2f} s"

    shown.append(f"{told(best[0])} ({best[1]})" if best else "not reached")
    shown.append(f"{told(sklearn[fastest])} ({fastest.partition(', ')[2]})")
    shown.append(f"{best[0] / sklearn[fastest]:.2f}" if best else "-")
    shown += [told(theirs.get(name)) for name in ("LIBLINEAR -s 0", "Snap ML, one thread")]
    return shown


def main() -> None:
    """Compare, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stores", nargs="+", metavar="STORE")
    parser.add_argument("--l2", type=float, action="append", required=True)
    parser.add_argument("--workers", type=numbers, default=[2, 4, 8])
    parser.add_argument("--optima", type=Path, default=Path("runs/optima"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    if len(given.l2) != len(given.stores):
        parser.error("each STORE has one --l2")
    rows = []
    for path, l2 in zip(given.stores, given.l2, strict=True):
        store = Store.open(path)
        gaps = kept_gaps(store, l2, given.optima / store.manifest.name / "optimum.npz")
        print(f"{path}, l2 {l2:g}", flush=True)
        rows.append(compare(store, l2, gaps, given.workers, given.repeats))
        print(" | ".join(rows[-1]), flush=True)
    head = ["data set", "ErasureHead", "scikit-learn", "ratio", "LIBLINEAR -s 0", "Snap ML"]
    text = table(head, rows)
    print(text)
    if given.page is not None:
        write_section(given.page, "against-one-process", text)


if __name__ == "__main__":
    main()
