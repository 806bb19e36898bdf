"""A run under a virtual clock with real arithmetic: the counterpart of a run with processes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.models.scoring import Evaluator
from erasurehead.records import Level, Observer, RoundRecord, RunSummary
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_master.machine.events import Shutdown
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import RoundLedger
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import Timing, VirtualCluster
from erasurehead_simulator.virtual.compute_times import check_pass, compute_times_s

Rate = Callable[[FloatArray], Mapping[str, float]]
"""From a model to its metrics."""

LOOKED_AT_ROUNDS = 10_000
"""To find one with a delay."""

NEVER_S = 1e300
"""A virtual time that does not come."""


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
    delays = DELAYS.build(settings.straggling.delay, settings.coding.workers, settings.run.seed)
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
) -> RunSummary:
    """Run a plan under a virtual clock.

    Parameters
    ----------
    store: the rows; need not be those the plan was made for, if there are as many.
    rate: rates models at the rounds of evaluation; default: the metrics on the test rows.
    enough: asked with each record, metrics included; True ends the run.
    """
    # Nothing is lost here, so signs of life would only take time: one a virtual second and worker.
    settings = plan.settings.changed(
        membership={"heartbeat_interval_s": NEVER_S, "silence_limit_s": NEVER_S}
    )
    plan = replace(plan, run=f"virtual-{secrets.token_hex(3)}", settings=settings)
    code = plan.code
    descent = make_descent(plan, store.train)
    machine = Master(plan, 0.0)
    ledger = RoundLedger(machine, descent, lambda: 0.0)
    if rate is None:
        evaluator = Evaluator(store.test, plan.model)
        rate = evaluator.now if evaluator else lambda model: {}
    reporter = _Reporter(plan, descent, rate, observers)
    times_s = cache(lambda epoch: compute_times_s(machine.plan.code, pass_s))
    cluster = VirtualCluster(
        machine,
        ledger,
        RealArithmetic(store.train),
        Timing(compute_s=lambda slot, part: float(times_s(machine.epoch)[slot, part])),
        [reporter],
    )

    def ask(record: RoundRecord) -> None:
        if enough(record):
            end = Shutdown(True, "the simulation has seen enough")
            cluster.clock.after(0.0, lambda: cluster.handle(end))

    reporter.then = ask
    start = plan.start(str(descent.size), 1, 0.0)
    for observer in observers:
        observer.started(start)
        observer.notice("info", "times are virtual: messages, decoding and stepping take none")
    for slot in range(code.n_workers):
        cluster.start(f"virtual-{slot}", slot)
    cluster.run()
    assert cluster.finished is not None
    summary = RunSummary(
        reason=cluster.finished.reason,
        exit_code=cluster.finished.exit_code,
        rounds=machine.rounds_done,
        wall_s=ledger.rounds_s,
        rounds_s=ledger.rounds_s,
        evaluation_s=0.0,
        metrics=dict(reporter.metrics),
        refused=dict(machine.refused.items()),
    )
    for observer in observers:
        observer.model(descent.model, start, summary.rounds)
        observer.finished(summary)
    return summary


class _Reporter(Observer):
    """Adds the metrics at the rounds at which a real master evaluates, and passes records on."""

    def __init__(
        self, plan: RunPlan, descent: Descent, rate: Rate, observers: Sequence[Observer]
    ) -> None:
        self.metrics: Mapping[str, float] = {}
        self.then: Callable[[RoundRecord], None] = lambda record: None
        self._every = plan.settings.descent.evaluate_every_rounds
        self._last = plan.settings.descent.rounds
        self._descent = descent
        self._rate = rate
        self._observers = observers

    def round_over(self, record: RoundRecord) -> None:
        """Evaluate if that is due, then report."""
        if record.round % self._every == 0 or record.round == self._last:
            self.metrics = self._rate(self._descent.model)
            record = replace(record, metrics=dict(self.metrics))
        for observer in self._observers:
            observer.round_over(record)
        self.then(record)

    def notice(self, level: Level, text: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.notice(level, text)
