"""The worker's metrics, read from a machine and a tally."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from erasurehead.process.pulse import Pulse
from erasurehead.wire.messages import PROTOCOL_VERSION, Hello
from erasurehead_worker.machine.events import Loaded, Received
from erasurehead_worker.machine.machine import Worker
from erasurehead_worker.watch import metrics
from erasurehead_worker.watch.metrics import METRICS, WorkerMetrics, endpoints
from erasurehead_worker.watch.tally import Tally
from tests.support.example_messages import ASSIGN as EXAMPLE

ASSIGN = replace(EXAMPLE, slot=4, n_slots=6, columns=100, n_parameters=100)


def fresh() -> Worker:
    hello = Hello(PROTOCOL_VERSION, "w", "1.0", "host")
    return Worker(hello, 0.0, np.random.default_rng(0))


def test_series_carry_the_slot_once_there_is_one() -> None:
    machine, tally = fresh(), Tally(results=3, compute_s=1.5, chunks=12, chunks_dropped=2)
    registry = CollectorRegistry()
    registry.register(WorkerMetrics(machine, tally))
    read = registry.get_sample_value
    assert read("erasurehead_worker_results_total", {"worker": "none"}) == 3
    machine.handle(Received(ASSIGN), 0.0)
    machine.handle(Loaded(9, np.array([1, 2, 5])), 0.0)
    assert read("erasurehead_worker_results_total", {"worker": "4"}) == 3
    assert read("erasurehead_worker_results_total", {"worker": "none"}) is None
    assert read("erasurehead_worker_chunks_total", {"worker": "4", "outcome": "dropped"}) == 2
    assert read("erasurehead_worker_rows", {"worker": "4"}) == 9
    assert read("erasurehead_worker_parameters", {"worker": "4"}) == 3
    assert read("erasurehead_worker_phase", {"worker": "4", "phase": "idle"}) == 1


def test_the_endpoint_offers_what_the_table_defines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "cpu_limit", lambda: 0.5)
    machine = fresh()
    machine.handle(Received(ASSIGN), 0.0)
    machine.handle(Loaded(9, None), 0.0)
    offered = {f.name: f for f in WorkerMetrics(machine, Tally()).collect()}
    defined = {m.name.removesuffix("_total"): m for m in METRICS}
    assert offered.keys() == defined.keys()
    for name, family in offered.items():
        for sample in family.samples:
            assert set(sample.labels) == set(defined[name].labels)


def test_a_worker_is_ready_when_it_has_its_rows() -> None:
    machine = fresh()
    served = endpoints(machine, Tally(), Pulse(60.0))
    assert served.ready() == (
        False,
        {"phase": "greeting", "spare": False, "slot": None, "round": 0},
    )
    machine.handle(Received(ASSIGN), 0.0)
    assert not served.ready()[0]
    machine.handle(Loaded(9, None), 0.0)
    assert served.ready() == (
        True,
        {"phase": "idle", "spare": False, "slot": 4, "round": 0},
    )
    assert served.healthy()[0]
