"""A run in this process by the wall clock: the same machines, and no worker processes.

For small data, where a process would take longer to start than the whole run takes.
"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Sequence
from dataclasses import replace

from erasurehead.datasets.store import Store
from erasurehead.models.scoring import Evaluator
from erasurehead.process.signals import SignalWatch
from erasurehead.records import Observer, RunSummary
from erasurehead_master.machine.events import Shutdown
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.seams import Usage
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.clock import VirtualClock
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_simulator.virtual.virtual_run import NEVER_S


class WallClock(VirtualClock):
    """A clock whose time passes by itself; what is to happen later is waited for.

    Parameters
    ----------
    signals: one that comes ends the waiting.
    """

    def __init__(self, signals: SignalWatch) -> None:
        self._began = time.monotonic()
        self._signals = signals
        super().__init__()

    @property
    def now(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._began

    @now.setter
    def now(self, until: float) -> None:
        left_s = until - self.now
        if left_s > 0:
            select.select([self._signals], [], [], left_s)


def run_here(plan: RunPlan, store: Store, observers: Sequence[Observer]) -> RunSummary:
    """Run a plan in this process: its workers take turns, and delays are waited for.

    SIGINT and SIGTERM end the run, as they do with worker processes.

    Parameters
    ----------
    store: the rows.
    observers: get what those of a run with processes get.
    """
    settings = plan.settings.changed(
        membership={"heartbeat_interval_s": NEVER_S, "silence_limit_s": NEVER_S}
    )
    plan = replace(plan, settings=settings)
    evaluator = Evaluator(store.test, plan.model)
    with SignalWatch() as signals:
        cluster = VirtualCluster(
            Master(plan, 0.0),
            make_descent(plan, store.train, column_squares=store.column_squares),
            RealArithmetic(store.train),
            Timing(),
            observers,
            rating=evaluator.steps if evaluator else None,
            clock=WallClock(signals),
            stopwatch=time.perf_counter,
        )
        for slot in range(plan.code.n_workers):
            cluster.start(f"here-{slot}", slot)
        while cluster.finished is None and cluster.clock.step():
            number = signals.take()
            if number is not None:
                reason = f"asked to end by {signal.Signals(number).name}"
                cluster.handle(Shutdown(True, reason))
    return cluster.conductor.conclude(Usage)
