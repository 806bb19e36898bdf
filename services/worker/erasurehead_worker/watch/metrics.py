"""What a worker exports, defined once; docs/metrics.md is generated from this table.

The `worker` label is the worker's slot, as in the master's metrics, or ``none`` without one.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from erasurehead.monitoring.http import Endpoints, State
from erasurehead.monitoring.metric import Metric
from erasurehead.process.pulse import Pulse
from erasurehead_worker.machine.machine import Phase, Worker
from erasurehead_worker.watch.tally import Tally
from erasurehead_worker.watch.throttling import Throttling, cpu_limit, throttling

INFO = Metric(
    "erasurehead_worker_info",
    "gauge",
    "Always 1; which process fills the slot.",
    ("worker", "name", "host", "version"),
)
PHASE = Metric(
    "erasurehead_worker_phase",
    "gauge",
    "1 for what the worker is at: greeting, loading, idle, delayed or computing.",
    ("worker", "phase"),
)
RESULTS = Metric("erasurehead_worker_results_total", "counter", "Results sent.", ("worker",))
ABANDONED = Metric(
    "erasurehead_worker_rounds_abandoned_total",
    "counter",
    "Rounds given up because a newer one came, in the middle of computing or of a delay.",
    ("worker",),
)
COMPUTE = Metric(
    "erasurehead_worker_compute_seconds_total",
    "counter",
    "Time spent on gradients, finished or given up.",
    ("worker",),
)
DELAY = Metric(
    "erasurehead_worker_injected_delay_seconds_total",
    "counter",
    "Injected delay of the results sent.",
    ("worker",),
)
CHUNKS = Metric(
    "erasurehead_worker_chunks_total",
    "counter",
    "Chunks of rows by outcome: computed, or dropped because a newer round came.",
    ("worker", "outcome"),
)
ROWS = Metric("erasurehead_worker_rows", "gauge", "Rows this worker holds.", ("worker",))
PARAMETERS = Metric(
    "erasurehead_worker_parameters", "gauge", "Parameters its rows need (its support).", ("worker",)
)
CPU_LIMIT = Metric(
    "erasurehead_worker_cpu_limit_cores",
    "gauge",
    "Cores its control group may use; absent without a limit.",
    ("worker",),
)
THROTTLED = Metric(
    "erasurehead_worker_cpu_throttled_seconds_total",
    "counter",
    "Time its control group was held back for having used up its CPU quota.",
    ("worker",),
)
PERIODS = Metric(
    "erasurehead_worker_cpu_periods_total",
    "counter",
    "Scheduling periods of its control group with something to run, throttled or not.",
    ("worker", "throttled"),
)

METRICS = tuple(m for m in list(globals().values()) if isinstance(m, Metric))
"""Every metric of a worker, in the order of the page."""


class WorkerMetrics(Collector):
    """Reads a worker's state when it is scraped, on another thread than the worker's own.

    Parameters
    ----------
    machine: the worker's state machine, only ever read.
    tally: what its loop adds up.
    """

    def __init__(self, machine: Worker, tally: Tally) -> None:
        self._machine = machine
        self._tally = tally

    def collect(self) -> Iterator[Family]:
        """Yield every family that there is something to say about."""
        machine, tally = self._machine, self._tally
        assign, loaded = machine.assign, machine.loaded
        slot = "none" if assign is None else str(assign.slot)
        hello = machine.hello
        yield INFO.numbers([((slot, hello.name, hello.host, hello.version), 1.0)])
        phase = machine.phase
        yield PHASE.numbers([((slot, p.value), float(p is phase)) for p in Phase])
        for metric, value in (
            (RESULTS, tally.results),
            (ABANDONED, machine.abandoned),
            (COMPUTE, tally.compute_s),
            (DELAY, tally.delay_s),
        ):
            yield metric.numbers([((slot,), value)])
        yield CHUNKS.numbers(
            [((slot, "computed"), tally.chunks), ((slot, "dropped"), tally.chunks_dropped)]
        )
        if loaded is not None and assign is not None:
            support = loaded.support
            yield ROWS.numbers([((slot,), loaded.rows)])
            width = assign.n_parameters if support is None else support.size
            yield PARAMETERS.numbers([((slot,), width)])
        yield from self._cpu(slot)

    def _cpu(self, slot: str) -> Iterator[Family]:
        limit = cpu_limit()
        if limit is not None:
            yield CPU_LIMIT.numbers([((slot,), limit)])
        # A kernel without the accounting has not throttled anyone that it knows of.
        held = throttling() or Throttling(0, 0, 0.0)
        yield THROTTLED.numbers([((slot,), held.throttled_s)])
        yield PERIODS.numbers(
            [
                ((slot, "yes"), held.throttled_periods),
                ((slot, "no"), held.periods - held.throttled_periods),
            ]
        )


def endpoints(machine: Worker, tally: Tally, pulse: Pulse) -> Endpoints:
    """Return what a worker serves over HTTP."""
    registry = CollectorRegistry()
    registry.register(WorkerMetrics(machine, tally))
    ProcessCollector(registry=registry)

    def ready() -> State:
        """It has its rows, or it waits as a spare; either way it has all that a master wants."""
        assign = machine.assign
        return machine.placed, {
            "phase": machine.phase.value,
            "spare": machine.spare,
            "slot": None if assign is None else assign.slot,
            "round": machine.round,
        }

    return Endpoints(registry, pulse.healthy, ready)
