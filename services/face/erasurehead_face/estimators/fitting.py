"""One fit: in this process, or with worker processes of a nursery that many fits share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from erasurehead.arrays import FloatArray
from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK, DataError
from erasurehead.models.base import Model
from erasurehead.process.cores import usable_cores
from erasurehead.records import Observer, RoundRecord, RunSummary
from erasurehead.settings.tree import RunSettings
from erasurehead_face.running.arguments import Settings, settings_from
from erasurehead_face.running.handed import ARRAYS, Handed
from erasurehead_face.running.kept import Kept
from erasurehead_face.running.problem import Problem
from erasurehead_face.running.run import RunError
from erasurehead_local.pool import POOL
from erasurehead_local.train import turns_of
from erasurehead_simulator.virtual.here import run_here

STANDSTILL = 1e-3
"""A loss that falls by less than this times `tol` a round stands still."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit has learnt.

    Attributes
    ----------
    theta: shape (n_parameters,); zeros of the model if it was interrupted before its first round.
    """

    theta: FloatArray
    model: Model
    history: list[RoundRecord]
    summary: RunSummary

    @property
    def interrupted(self) -> bool:
        """True where Ctrl-C or the like has ended it."""
        return self.summary.exit_code == EXIT_INTERRUPTED


def fit(
    data: Handed | str,
    given: Settings,
    *,
    n_jobs: int | None,
    scheme: str | None,
    tol: float,
    begins_with: FloatArray | None,
    observers: Sequence[Observer],
) -> Fit:
    """Learn, and return what was learnt.

    Parameters
    ----------
    data: rows from arrays, or the path of a store.
    given: settings, apart from `workers` and `scheme`.
    n_jobs: worker processes; None: this process computes alone; -1: as many as there are cores.
    scheme: None: `uncoded` in this process, and the settings' own with workers.
    tol: the estimated gap at which the fit is done; 0: all rounds are done.
    begins_with: parameters of the first round, shape (n_parameters,); None: the model's start.

    Raises
    ------
    UsageError: something does not fit, in one sentence.
    RunError: the run diverged or lost its workers.
    KeyboardInterrupt: it was interrupted before its first round.
    """
    workers = 1 if n_jobs is None else workers_of(n_jobs)
    if scheme is None and n_jobs is None:
        scheme = "uncoded"
    settings: Settings = {**given, "workers": workers, "scheme": scheme}
    location = data if isinstance(data, str) else ARRAYS
    # A fit depends on its parameters alone, so the environment has no say.
    loaded = settings_from(RunSettings, settings, location, environment={})
    loaded = loaded.changed(descent={"until": _until(tol, exact=loaded.fitted().exact)})
    problem = Problem.on_store(loaded) if isinstance(data, str) else Problem.on(data, loaded)
    if begins_with is not None:
        _check_goes_on(begins_with, problem.planned.plan.model)
        problem = problem.beginning_with(begins_with)
    kept = Kept()
    watching = [kept, *observers]
    plan = problem.planned.plan
    if n_jobs is None:
        summary = run_here(plan, problem.planned.store, watching)
    else:
        begun = time.monotonic()
        with POOL.lend(turns_of(problem.planned)) as cluster:
            summary = problem.run_on(cluster, watching, begun=begun)
    if kept.theta is None:
        if summary.exit_code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt(summary.reason)
        raise RunError(summary, None)
    if summary.exit_code not in (EXIT_OK, EXIT_INTERRUPTED):
        raise RunError(summary, None)
    return Fit(kept.theta, plan.model, kept.history, summary)


def _check_goes_on(theta: FloatArray, model: Model) -> None:
    """Refuse to go on from the parameters of another model.

    Raises
    ------
    DataError: they are other than the model has.
    """
    if len(theta) != model.n_parameters:
        raise DataError(
            f"warm_start goes on from {len(theta)} parameters, and a model of these rows has"
            f" {model.n_parameters}; give rows of the same columns and classes, or"
            " warm_start=False"
        )


def _until(tol: float, *, exact: bool) -> tuple[str, ...]:
    """Return what ends a fit before its last round.

    The gap is a share of the way from the start; where that is the minimum already, as it may be
    when a fit goes on from the last one, only the loss tells that nothing is left to do. The loss
    of rounds without the full gradient rises and falls on the way, and tells nothing.
    """
    if not tol > 0:
        return ()
    standstill = (f"loss-change:{STANDSTILL * tol:g}",) if exact else ()
    return (f"gap:{tol:g}", *standstill)


def workers_of(n_jobs: int) -> int:
    """Return how many workers a number of jobs stands for, as joblib counts them.

    Raises
    ------
    ValueError: it is 0, or no whole number.
    """
    if not isinstance(n_jobs, Integral) or n_jobs == 0:
        raise ValueError(f"n_jobs={n_jobs!r} has no meaning; give a number of workers, -1 or None")
    return n_jobs if n_jobs > 0 else max(1, usable_cores() + 1 + n_jobs)
