"""The solvers of one process, for `benchmarks/peers.py`, which starts it.

    python benchmarks/peer_solver.py FOLDER BEGINNING

BEGINNING is that of the solvers' names in `against_one_process.py`; the best of them counts. The
time is that of the shortest fit whose model has the gap.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

from against_one_process import HOPELESS, LEAST_LIMIT_S, shortest_fit_s, solvers
from peer_loop import BEGAN, Course, given_problem, pause, tell

from erasurehead.datasets.store import Store
from erasurehead_cli.reproduce.beyond.optimum import kept_gaps

REPEATS = 3
FIRST_LIMIT_S = 4.0
"""A fit that takes longer is no rival, before any solver has reached the gap."""


def main() -> None:
    """Fit, and tell."""
    _, problem, _ = given_problem()
    store = Store.open(problem.store)
    every = [s for s in solvers(store, problem.l2) if s.name.startswith(sys.argv[2])]
    course = Course(start_s=time.time() - float(os.environ[BEGAN]))
    if not every:
        course.ended = "is not installed, or has no solver for these labels"
    gaps = kept_gaps(store, problem.l2, Path(problem.optimum))
    for solver in every:
        best_s = course.reached_s
        most_s = FIRST_LIMIT_S if best_s is None else max(LEAST_LIMIT_S, HOPELESS * best_s)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that fits have not converged, which is the point
            took_s = shortest_fit_s(solver, gaps, REPEATS, most_s)
        if took_s is not None and (best_s is None or took_s < best_s):
            course.reached_s, course.ended = took_s, solver.name.partition(", ")[2]
    pause()
    tell(course)


if __name__ == "__main__":
    main()
