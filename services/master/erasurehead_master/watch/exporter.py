"""The master's metrics: counts what round records say, reads the rest when it is scraped."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from erasurehead.monitoring.http import Endpoints, State
from erasurehead.monitoring.metric import Metric
from erasurehead.monitoring.totals import Histogram, Total
from erasurehead.process.pulse import Pulse
from erasurehead.process.version import installed_version
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.straggling.estimate import StragglerEstimate
from erasurehead.straggling.holdups import HoldUps
from erasurehead.wire.messages import REFUSALS
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.membership import STATES
from erasurehead_master.machine.table import Phase
from erasurehead_master.watch import metrics as m
from erasurehead_master.watch.counterfactual import WaitingForAll


class MasterMetrics(Observer, Collector):
    """An observer of the run and a collector of its metrics.

    Records come on the master's thread and scrapes on another; a lock keeps a scrape from seeing
    half a round. Membership is read from the machine without one: single reads of lists and
    dictionaries that the other thread replaces or extends are whole under the interpreter's lock.

    Parameters
    ----------
    machine: the run's state machine, only ever read.
    """

    def __init__(self, machine: Master, clock: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._clock = clock
        self._lock = threading.Lock()
        self._start: RunStart | None = None
        self._last: RoundRecord | None = None
        self._summary: RunSummary | None = None
        self._tests: dict[str, float] = {}
        self._durations = Histogram(m.ROUND_DURATION.buckets)
        self._arrivals: defaultdict[int, Histogram] = defaultdict(
            lambda: Histogram(m.ARRIVAL.buckets)
        )
        self._erasure_ratios = Histogram(m.ERASURE_RATIO.buckets)
        self._decode_errors = Histogram(m.DECODE_ERROR.buckets)
        self._lateness = Histogram(m.LATENESS.buckets)
        self._outcomes: Counter[tuple[int, str]] = Counter()
        self._totals: defaultdict[Metric, Total] = defaultdict(Total)
        self._phases: defaultdict[str, Total] = defaultdict(Total)
        self._plan = machine.plan
        self._waiting = WaitingForAll()
        self._hold_ups = HoldUps()
        self._checkpointed: float | None = None
        self._checkpoint_failures = 0
        self._fit(afresh=True)

    # What the run says

    def started(self, start: RunStart) -> None:
        """Note what the run is."""
        with self._lock:
            self._start = start

    def round_over(self, record: RoundRecord) -> None:
        """Count a round."""
        with self._lock:
            self._last = record
            self._durations.observe(record.duration_s)
            slots = [*(a.slot for a in record.arrivals), *record.stragglers]
            if max(slots, default=0) >= self._plan.code.n_workers:
                self._fit()
            code = self._plan.code
            arrived = np.zeros(code.n_workers, dtype=bool)
            for arrival in record.arrivals:
                self._arrivals[arrival.slot].observe(arrival.after_s)
                self._outcomes[arrival.slot, "arrived"] += 1
                arrived[arrival.slot] = True
            for slot in record.stragglers:
                self._outcomes[slot, "straggled"] += 1
            for late in record.late:
                self._lateness.observe(late.after_s)
            self._estimate.observe(arrived)
            self._waiting.round_over(record)
            self._hold_ups.round_over(record)
            self._erasure_ratios.observe(record.erased_tasks / code.n_tasks)
            self._decode_errors.observe(record.decode_error)
            self._totals[m.ERASED_TASKS].add(record.erased_tasks)
            self._totals[m.SENT].add(record.bytes_out)
            self._totals[m.RECEIVED].add(record.bytes_in)
            for phase in ("encode", "wait", "decode", "step"):
                self._phases[phase].add(getattr(record, f"{phase}_s"))
            self._tests.update(record.metrics)
            self._fit()

    def finished(self, summary: RunSummary) -> None:
        """Note how the run ended."""
        with self._lock:
            self._summary = summary

    def checkpointed(self, round_: int, kept: bool) -> None:
        """Note that a checkpoint was written, or could not be."""
        with self._lock:
            if kept:
                self._checkpointed = self._clock()
            else:
                self._checkpoint_failures += 1

    # What a scrape reads

    def collect(self) -> Iterator[Family]:
        """Yield every family; series of slots without a ready worker are left out."""
        with self._lock:
            families = [*self._run(), *self._rounds(), *self._peers()]
        yield from families

    def _run(self) -> Iterator[Family]:
        machine = self._machine
        plan = machine.plan
        start, last = self._start, self._last
        if start is not None:
            described = (start.run, start.scheme, start.model, start.step, installed_version())
            yield m.MODEL_INFO.numbers([(described, 1.0)])
        yield m.MODEL_PARAMETERS.number(plan.n_parameters)
        yield m.TRAINING_ROWS.number(plan.training_rows)
        yield m.TASKS.number(plan.code.n_tasks)
        yield m.PHASE.numbers([((p.value,), float(p is machine.phase)) for p in Phase])
        if self._summary is not None:
            yield m.EXIT_CODE.number(self._summary.exit_code)
        yield m.ROUND.number(machine.rounds_done)
        yield m.ROUNDS_PLANNED.number(plan.settings.descent.rounds)
        yield m.REBUILDS.number(machine.epoch)
        yield m.TEST_METRIC.numbers([((k,), v) for k, v in self._tests.items()])
        if last is not None:
            yield m.TRAIN_LOSS.number(last.train_loss)
            if math.isfinite(last.gap):
                yield m.GAP.number(last.gap)
            yield m.GRADIENT_NORM.number(last.gradient_norm)
            yield m.STEP_SIZE.number(last.step_size)
            yield m.ROUND_ARRIVALS.number(len(last.arrivals))
            yield m.AMPLIFICATION.number(last.amplification)
        if self._checkpointed is not None:
            yield m.CHECKPOINT_AGE.number(self._clock() - self._checkpointed)
        yield m.CHECKPOINT_FAILURES.number(self._checkpoint_failures)

    def _rounds(self) -> Iterator[Family]:
        yield m.ROUND_DURATION.histograms([((), self._durations)])
        yield m.ERASURE_RATIO.histograms([((), self._erasure_ratios)])
        yield m.DECODE_ERROR.histograms([((), self._decode_errors)])
        yield m.LATENESS.histograms([((), self._lateness)])
        yield m.STALE_RESULTS.number(self._machine.training.stale)
        for metric in (m.ERASED_TASKS, m.SENT, m.RECEIVED):
            yield metric.number(self._totals[metric].sum)
        yield m.COMPARED.number(self._waiting.compared.sum)
        yield m.WAITING_FOR_ALL.number(self._waiting.waiting.sum)
        yield m.PHASE_SECONDS.numbers([((k,), v.sum) for k, v in self._phases.items()])

    def _peers(self) -> Iterator[Family]:
        machine = self._machine
        membership = machine.membership
        members = list(membership.members.values())
        states = Counter(member.state for member in members)
        states["set_aside"] = len(membership.set_aside)
        yield m.SLOTS.number(machine.plan.code.n_workers)
        yield m.WORKERS.numbers([((s,), states[s]) for s in (*STATES, "set_aside")])
        # Each reason has a series from the start: a rate of something that began a moment ago would
        # otherwise be unknown just when it matters.
        refused = {**dict.fromkeys(REFUSALS, 0), **machine.admission.refused}
        yield m.REFUSED.numbers([((reason,), n) for reason, n in refused.items()])
        present = sorted({x.slot for x in members if x.slot is not None and x.ready})
        labels = {slot: str(slot) for slot in present}
        yield m.ARRIVAL.histograms(
            [((labels[s],), self._arrivals[s]) for s in present if s in self._arrivals]
        )
        yield m.WORKER_ROUNDS.numbers(
            [((labels[s], o), self._outcomes[s, o]) for s in present for o in _OUTCOMES]
        )
        probabilities = dict(enumerate(self._estimate.probabilities.tolist()))
        yield m.STRAGGLER_PROBABILITY.numbers(
            [((labels[s],), probabilities[s]) for s in present if s in probabilities]
        )
        known = [slot for slot in self._hold_ups.all() if slot.rounds]
        named = [((str(slot.slot), slot.worker), slot) for slot in known if not slot.gone_since]
        yield m.LATE_SHARE.numbers([(label, slot.late_now) for label, slot in named])
        yield m.BEHIND.numbers([(label, slot.behind_now_s) for label, slot in named])
        yield m.CHRONIC.numbers([(label, float(slot.chronic_since > 0)) for label, slot in named])
        yield m.GONE.numbers(
            [((str(slot.slot), slot.worker), 1.0) for slot in known if slot.gone_since]
        )
        yield m.PLACEMENTS.numbers([((labels[s],), membership.placements[s]) for s in present])

    def _fit(self, *, afresh: bool = False) -> None:
        """Follow the machine when its code was rebuilt; with other slots, estimates begin afresh.

        A round may be reported when the next one is open already, so the machine's plan is taken
        over after a record, and before it only if the record has slots that the last plan has not.
        """
        plan = self._machine.plan
        if plan is self._plan and not afresh:
            return
        n_workers = plan.code.n_workers
        if afresh or n_workers != self._plan.code.n_workers:
            self._estimate = StragglerEstimate(n_workers)
        self._plan = plan
        delays = plan.settings.delays(n_workers)
        if not delays.delays_no_one:
            shares = np.asarray(plan.code.loads) / plan.code.n_tasks
            self._waiting.injected = lambda round_: delays.delays_s(round_, shares)


_OUTCOMES = ("arrived", "straggled")


def endpoints(machine: Master, metrics: MasterMetrics, pulse: Pulse) -> Endpoints:
    """Return what the master serves over HTTP."""
    registry = CollectorRegistry()
    registry.register(metrics)
    ProcessCollector(registry=registry)

    def ready() -> State:
        """The socket is read and there is still something to do for a worker that comes."""
        phase = machine.phase
        return pulse.begun and phase is not Phase.FINISHED, {
            "phase": phase.value,
            "round": machine.rounds_done,
            "workers_ready": machine.membership.n_ready,
            "slots": machine.plan.code.n_workers,
        }

    return Endpoints(registry, pulse.healthy, ready)
