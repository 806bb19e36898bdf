"""`eh.simulate`: the same run under a virtual clock, with real arithmetic and no processes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack, overload

from erasurehead.errors import UsageError
from erasurehead.records import Observer
from erasurehead.runs.tracked import trackers_of
from erasurehead.settings.tree import RunSettings
from erasurehead_face.running.arguments import Settings, settings_from
from erasurehead_face.running.kept import Kept
from erasurehead_face.running.problem import Problem
from erasurehead_face.running.run import Run, concluded
from erasurehead_face.running.watching import check_observers
from erasurehead_simulator.virtual.timeline import Timeline, timeline_of
from erasurehead_simulator.virtual.virtual_run import check_time_passes, run_virtually

log = logging.getLogger(__name__)

LEFT_OUT = ("out", "resume", "http", "checkpoint")
"""Settings that mean nothing to a run without processes and without a directory."""

NO_STORE = "none"


@overload
def simulate(
    X: Any,
    y: Any = None,
    *,
    gradient_free: Literal[False] = False,
    pass_s: float = 0.0,
    sample_weight: Any = None,
    offset: Any = None,
    test: tuple[Any, Any] | None = None,
    observers: Sequence[Observer] = (),
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Run: ...


@overload
def simulate(
    *,
    gradient_free: Literal[True],
    pass_s: float = 0.0,
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Timeline: ...


def simulate(
    X: Any = None,
    y: Any = None,
    *,
    gradient_free: bool = False,
    pass_s: float = 0.0,
    sample_weight: Any = None,
    offset: Any = None,
    test: tuple[Any, Any] | None = None,
    observers: Sequence[Observer] = (),
    config: str | Path | None = None,
    **settings: Unpack[Settings],
) -> Run | Timeline:
    """Run virtual workers and a virtual master in this process; all times are virtual.

    Parameters
    ----------
    X, y, sample_weight, offset, test, observers, config: as for `train`.
    gradient_free: compute no gradients, only when each worker answers and when rounds close, for
        thousands of workers; there are no rows and nobody learns.
    pass_s: seconds in which one worker would compute the gradient of all rows; each is charged its
        share.

    Returns
    -------
    The run; if `gradient_free`, a `Timeline` with one number of each kind a round: how long it
    took, how many arrived, what was erased, how far off the decoded gradient is.

    Raises
    ------
    UsageError: an argument or the data is wrong, or nothing would take any time.
    RunError: the run diverged.
    """
    refuse(settings, LEFT_OUT, "a simulated run has no processes and no directory")
    if gradient_free:
        given = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "test": test}
        extra = [name for name, value in given.items() if value is not None]
        if extra or observers:
            raise UsageError(
                f"{[*extra, 'observers'][0]} means nothing here: without gradients there are no"
                " rows and nobody learns; leave it out"
            )
        return _timeline(settings, pass_s, config)
    check_observers(observers)
    problem = Problem.of(X, y, settings, config, sample_weight, offset, test)
    check_time_passes(problem.settings, pass_s)
    kept, planned = Kept(), problem.planned
    trackers = trackers_of(problem.settings, None, log.warning)
    run_virtually(planned.plan, planned.store, [kept, *trackers, *observers], pass_s)
    return concluded(kept, problem.settings, planned.plan.model, problem.classes, problem.columns)


def refuse(given: Settings, left_out: Collection[str], reason: str) -> None:
    """Refuse settings that mean nothing to a call.

    Raises
    ------
    UsageError: one was given.
    """
    for name, value in given.items():
        if name in left_out and value is not None:
            raise UsageError(f"setting '{name}' means nothing here: {reason}; leave it out")


def _timeline(given: Settings, pass_s: float, config: str | Path | None) -> Timeline:
    refuse(given, ["track"], "there is no run to track without gradients")
    loaded = settings_from(RunSettings, given, NO_STORE, config)
    check_time_passes(loaded, pass_s)
    return timeline_of(loaded, loaded.fitted(), pass_s)
