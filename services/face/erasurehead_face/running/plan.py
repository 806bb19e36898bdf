"""`eh.plan`: which code, load and stop rule reaches a target soonest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from erasurehead.errors import UsageError
from erasurehead.process.cores import usable_cores
from erasurehead.runs import Run as RecordedRun
from erasurehead.schemes.text import parse
from erasurehead.settings.tree import RunSettings
from erasurehead_face.running.arguments import Settings
from erasurehead_face.running.problem import Problem
from erasurehead_face.running.run import Recorded, Run
from erasurehead_face.running.simulate import refuse
from erasurehead_simulator.planner.results import SearchResult
from erasurehead_simulator.planner.search import Effort, search
from erasurehead_simulator.planner.target import Target
from erasurehead_simulator.traces.recording import record_trace
from erasurehead_simulator.traces.replay import resampled
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
    schemes: str | Sequence[str] = (),
    trace: Run | str | Path | None = None,
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
    trace: a finished run, or its directory, on the cluster to plan for: its workers, their delays
        and their compute times.
    pass_s: without a trace: seconds in which one worker would compute the gradient of all rows.
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
    if not isinstance(target, str):
        raise UsageError(f"target={target!r} is no text; write for example 'auc=0.69'")
    if not (trace is None or isinstance(trace, Run | str | Path)):
        raise UsageError(f"trace={trace!r} is no run; give a finished one, or its directory")
    wanted = Target.parse(target)
    recorded = None if trace is None else _recorded(trace)
    of_trace: Settings = {} if recorded is None else {"workers": recorded.settings.coding.workers}
    # The scheme that fits any number of workers, in the place of the one that is looked for.
    given: Settings = {**settings, "scheme": "uncoded"}
    problem = Problem.of(X, y, given, config, test=test, otherwise=of_trace)
    workers = problem.settings.coding.workers
    if recorded is not None:
        _check_fits(recorded, problem.settings, pass_s)
    with ExitStack() as stack:
        located = stack.enter_context(problem.on_disk())
        if recorded is not None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="erasurehead-trace-")))
            delay = resampled(record_trace(recorded), folder / "trace.npz")
            located = located.changed(straggling={"delay": delay})
        check_time_passes(located, pass_s)
        result = search(
            located,
            wanted,
            min(4, workers) if max_load is None else max_load,
            pass_s,
            Effort(seeds, finalists, sample_rows, usable_cores() if jobs is None else jobs),
            {text: parse(text) for text in ([schemes] if isinstance(schemes, str) else schemes)},
        )
    return Plan(result, workers)


def _recorded(trace: Run | str | Path) -> RecordedRun:
    return Recorded.of(trace) if isinstance(trace, Run) else RecordedRun.open(Path(trace))


def _check_fits(recorded: RecordedRun, settings: RunSettings, pass_s: float) -> None:
    """Refuse what a trace brings itself, and another number of workers.

    Raises
    ------
    UsageError: it is given as well, or they are not as many.
    """
    own, workers = settings.straggling, recorded.settings.coding.workers
    if "delay" in own.model_fields_set:
        raise UsageError(
            f"the trace brings the delays of its run, and delay={own.delay} is given as well; leave"
            " delay out, or trace"
        )
    if pass_s:
        raise UsageError("the trace brings the compute times of its run; leave pass_s out")
    if settings.coding.workers != workers:
        raise UsageError(
            f"the trace has {workers} workers, but workers is {settings.coding.workers}; plan for"
            " as many as were recorded, or give a delay model in place of the trace"
        )
