"""`eh.plan`: which code, load and stop rule reaches a target soonest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from erasurehead.process.cores import usable_cores
from erasurehead.schemes.text import parse
from erasurehead_face.running.arguments import Settings
from erasurehead_face.running.problem import Problem
from erasurehead_face.running.simulate import refuse
from erasurehead_simulator.planner.results import SearchResult
from erasurehead_simulator.planner.search import Effort, search
from erasurehead_simulator.planner.target import Target
from erasurehead_simulator.virtual.virtual_run import check_time_passes

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = ("scheme", "out", "resume", "http", "checkpoint")


@dataclass(frozen=True, eq=False)
class Plan:
    """What a search found.

    Attributes
    ----------
    result: everything that was tried, with its times and what the theory says.
    workers: that it was planned for.
    """

    result: SearchResult
    workers: int

    @property
    def scheme(self) -> str:
        """The scheme that reaches the target soonest: ``eh.train(..., scheme=plan.scheme)``."""
        return self.result.best.candidate.text

    @property
    def rounds(self) -> int:
        """Rounds that its longest trial took."""
        return int(max(r for r in self.result.best.rounds if math.isfinite(r)))

    def frame(self) -> pd.DataFrame:
        """Return the finalists as a data frame, one row each, in order of load and time."""
        import pandas as pd

        fastest = self.result.frontier
        return pd.DataFrame(
            {
                "scheme": trial.candidate.text,
                "load": trial.candidate.load,
                "median_s": trial.median_s,
                "rounds": trial.median_rounds,
                "round_s": trial.round_s,
                "decode_error": trial.decode_error,
                "on_frontier": trial in fastest,
            }
            for trial in self.result.trials
        )

    def __repr__(self) -> str:
        best = self.result.best
        return (
            f"<Plan for {self.result.target}, {self.workers} workers: {self.scheme} in"
            f" {best.median_s:.3g} s, of {self.result.n_candidates} schemes>"
        )


def plan(
    X: Any,
    y: Any = None,
    *,
    target: str,
    schemes: Sequence[str] = (),
    pass_s: float = 0.0,
    max_load: int | None = None,
    seeds: int = 5,
    finalists: int = 3,
    sample_rows: int = 20_000,
    jobs: int | None = None,
    test: tuple[Any, Any] | None = None,
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Plan:
    """Search the scheme that reaches a target soonest, by simulation.

    Parameters
    ----------
    X, y, test, config: as for `train`; a test metric needs test rows.
    target: a test metric (``auc=0.69``) or the training loss (``loss=0.52``).
    schemes: schemes to try besides those searched.
    pass_s: seconds in which one worker would compute the gradient of all rows.
    max_load: most data that a worker may store, in units of the part each has without a code;
        None: 4.
    seeds: runs of each finalist.
    finalists: schemes of each load that train.
    sample_rows: training rows that rounds are counted on.
    jobs: processes that search; None: one for each core.

    Raises
    ------
    UsageError: an argument or the data is wrong, or no scheme reaches the target.
    """
    refuse(settings, LEFT_OUT, "the search chooses the scheme, and writes nothing")
    wanted = Target.parse(target)
    # The scheme that fits any number of workers, in the place of the one that is looked for.
    problem = Problem.of(X, y, {**settings, "scheme": "uncoded"}, config, test=test)
    check_time_passes(problem.settings, pass_s)
    workers = problem.settings.coding.workers
    with problem.on_disk() as located:
        result = search(
            located,
            wanted,
            min(4, workers) if max_load is None else max_load,
            pass_s,
            Effort(seeds, finalists, sample_rows, usable_cores() if jobs is None else jobs),
            {text: parse(text) for text in schemes},
        )
    return Plan(result, workers)
