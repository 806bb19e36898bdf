"""A run under a virtual clock with real arithmetic: the counterpart of a run with processes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.models.scoring import Evaluator
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings.tree import RunSettings
from erasurehead_master.machine.events import Shutdown
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.seams import Rating, Usage
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.compute_times import (
    check_pass,
    compute_times_s,
    round_pass_s,
)
from erasurehead_simulator.virtual.timing import Timing

Rate = Callable[[FloatArray], Mapping[str, float]]
"""From a model to its metrics."""

Disturb = Callable[[VirtualCluster], None]
"""Plans faults, on the clock of the cluster."""

LOOKED_AT_ROUNDS = 10_000
"""To find one with a delay."""

NEVER_S = 1e300
"""A virtual time that does not come."""

SEEN_ENOUGH = Shutdown(True, "the simulation has seen enough")


def simulate(
    settings: RunSettings, observers: Sequence[Observer], pass_s: float = 0.0
) -> RunSummary:
    """Run `settings.coding.workers` virtual workers and a virtual master to the end.

    Parameters
    ----------
    observers: get what those of a real run get; all times are virtual.
    pass_s: seconds in which one worker would compute the gradient of all training rows.

    Raises
    ------
    UsageError, DataError: the settings or the store do not fit, or nothing would take any time.
    """
    check_time_passes(settings, pass_s)
    store = Store.open(settings.problem.store)
    plan = make_plan(settings, store, None)
    return run_virtually(plan, store, observers, pass_s)


def check_time_passes(settings: RunSettings, pass_s: float) -> None:
    """Refuse a run in which neither computing nor delays take any time.

    Raises
    ------
    UsageError: every round would take 0 s, or a pass over the rows an impossible time.
    """
    check_pass(pass_s)
    delays = settings.delays()
    rounds = range(1, min(settings.descent.rounds, LOOKED_AT_ROUNDS) + 1)
    if pass_s == 0 and not any(np.any(delays.delays_s(t, 1.0)) for t in rounds):
        raise UsageError(
            f"with --delay {settings.straggling.delay} and without --pass-s nothing takes any time;"
            " give a delay model, or the seconds of a pass over all rows"
        )


def run_virtually(
    plan: RunPlan,
    store: Store,
    observers: Sequence[Observer],
    pass_s: float,
    *,
    rate: Rate | None = None,
    enough: Callable[[RoundRecord], bool] = lambda record: False,
    disturb: Disturb = lambda cluster: None,
) -> RunSummary:
    """Run a plan under a virtual clock.

    Parameters
    ----------
    store: the rows; need not be those the plan was made for, if there are as many.
    rate: rates models at the rounds of evaluation; default: the metrics on the test rows.
    enough: asked with each record, metrics included; True ends the run.
    disturb: called at time 0, with a worker in each slot: plans what happens to them.
    """
    # Nothing is lost here, so signs of life would only take time: one a virtual second and worker.
    settings = plan.settings.changed(
        membership={"heartbeat_interval_s": NEVER_S, "silence_limit_s": NEVER_S}
    )
    plan = replace(plan, run=f"virtual-{secrets.token_hex(3)}", settings=settings)
    evaluator = Evaluator(store.test, plan.model)
    rating: Rating | None = evaluator.steps if evaluator else None
    if rate is not None:
        rating = _at_once(rate)

    @cache
    def times_s(plan: RunPlan) -> FloatArray:
        return compute_times_s(plan.code, round_pass_s(settings, pass_s))

    def compute_s(slot: int, part: int) -> float:
        return float(times_s(cluster.conductor.plan)[slot, part])

    def end() -> None:
        cluster.clock.after(0.0, lambda: cluster.handle(SEEN_ENOUGH))

    cluster = VirtualCluster(
        Master(plan, 0.0),
        make_descent(plan, store.train, column_squares=store.column_squares),
        RealArithmetic(store.train),
        Timing(compute_s=compute_s),
        [*observers, _Watch(observers, enough, end)],
        rating=rating,
    )
    for slot in range(plan.code.n_workers):
        cluster.start(worker_name(slot), slot)
    disturb(cluster)
    cluster.run()
    return cluster.conductor.conclude(Usage)


def worker_name(slot: int) -> str:
    """Return what the worker of a slot is called."""
    return f"virtual-{slot}"


def _at_once(rate: Rate) -> Rating:
    """Return a rating that has all its work in one piece."""

    def pieces(model: FloatArray) -> Iterator[dict[str, float] | None]:
        yield dict(rate(model))

    return pieces


class _Watch(Observer):
    """Says what virtual times are, and ends the run when it has seen enough."""

    def __init__(
        self,
        observers: Sequence[Observer],
        enough: Callable[[RoundRecord], bool],
        end: Callable[[], None],
    ) -> None:
        self._observers = observers
        self._enough = enough
        self._end = end

    def started(self, start: RunStart) -> None:
        """Tell the others."""
        for observer in self._observers:
            observer.notice("info", "times are virtual: messages, decoding and stepping take none")

    def round_over(self, record: RoundRecord) -> None:
        """Ask whether that is enough."""
        if self._enough(record):
            self._end()
