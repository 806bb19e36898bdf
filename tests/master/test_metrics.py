"""The master's metrics against the records of runs under a virtual clock."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from erasurehead.process.pulse import Pulse
from erasurehead.records import Arrival, Late, RoundRecord, RunStart, RunSummary
from erasurehead.straggling import DELAYS
from erasurehead.wire.messages import Refusal
from erasurehead_master.watch.counterfactual import HORIZON_ROUNDS, WaitingForAll
from erasurehead_master.watch.exporter import MasterMetrics, endpoints
from erasurehead_master.watch.metrics import METRICS
from erasurehead_simulator.virtual.cluster import VirtualCluster
from tests.support.played_runs import make_record
from tests.support.virtual_run import make_virtual, some_rows

Read = Callable[..., float | None]

START = RunStart("r", "agc", 6, 6, 8, 60, 40, 1, (3,) * 6, "logistic", "constant", 0.1)


def watch(cluster: VirtualCluster) -> tuple[MasterMetrics, Read]:
    """Let an exporter observe a virtual run; return it and what reads one sample."""
    metrics = MasterMetrics(cluster.machine, clock=lambda: cluster.clock.now)
    cluster.observers.append(metrics)
    registry = CollectorRegistry()
    registry.register(metrics)

    def read(name: str, /, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    return metrics, read


@pytest.fixture
def cluster() -> VirtualCluster:
    made = make_virtual(
        some_rows(), workers=6, scheme="agc:c=3,r=2", rounds=40, delay="exponential:mean_s=0.5"
    )
    for slot in range(6):
        made.start(f"w{slot}", slot)
    return made


def test_the_gap_is_there_while_it_is_known(cluster: VirtualCluster) -> None:
    metrics, read = watch(cluster)
    metrics.round_over(record(1, 1.0, ()))
    assert read("erasurehead_estimated_gap") is None
    metrics.round_over(dataclasses.replace(record(2, 1.0, ()), gap=0.25))
    assert read("erasurehead_estimated_gap") == 0.25
    metrics.round_over(record(3, 1.0, ()))
    assert read("erasurehead_estimated_gap") is None


def test_numbers_equal_the_records(cluster: VirtualCluster) -> None:
    metrics, read = watch(cluster)
    metrics.started(START)
    cluster.run()
    records = cluster.records
    assert len(records) == 40
    durations = [r.duration_s for r in records]
    assert read("erasurehead_round_duration_seconds_count") == 40
    assert read("erasurehead_round_duration_seconds_sum") == pytest.approx(sum(durations))
    assert read("erasurehead_round_duration_seconds_bucket", le="0.25") == sum(
        d <= 0.25 for d in durations
    )
    assert read("erasurehead_erased_tasks_total") == sum(r.erased_tasks for r in records)
    assert read("erasurehead_round") == 40
    assert read("erasurehead_train_loss") == records[-1].train_loss
    # The run is over, and so its workers were told to leave; in the machine they are still there.
    for slot in range(6):
        worker = str(slot)
        arrived = [a.after_s for r in records for a in r.arrivals if a.slot == slot]
        straggled = sum(slot in r.stragglers for r in records)
        assert read("erasurehead_arrival_seconds_count", worker=worker) == len(arrived)
        assert read("erasurehead_arrival_seconds_sum", worker=worker) == pytest.approx(sum(arrived))
        assert (
            read("erasurehead_worker_rounds_total", worker=worker, outcome="straggled") == straggled
        )
        assert read("erasurehead_worker_placements_total", worker=worker) == 1


def test_records_of_numpy_scalars_are_added_up_and_shown_as_floats(cluster: VirtualCluster) -> None:
    """Models, codes and methods of one's own return what numpy returns: narrow, or not finite.

    1. A round whose numbers are float32 or arrays of one element. 2. One that has diverged. 3. The
    sums go on growing, finite, and the page can be scraped.
    """
    metrics = MasterMetrics(cluster.machine)
    registry = CollectorRegistry()
    registry.register(metrics)
    narrow: dict[str, Any] = {
        f.name: np.float32(1)
        for f in dataclasses.fields(RoundRecord)
        if f.type in ("float", "int") and f.name != "round"
    }
    for round_, more in enumerate(
        (
            {"closed_s": np.float32(2), "erased_tasks": np.int8(1), "metrics": {"auc": np.ones(1)}},
            {"decode_error": np.float32("inf"), "train_loss": np.nan, "bytes_out": 1 << 24},
            {},
        ),
        start=1,
    ):
        values = {**narrow, **more}
        metrics.round_over(dataclasses.replace(record(round_, 0.0, ()), **values))
    page = generate_latest(registry).decode()
    assert "erasurehead_sent_bytes_total 1.6777218e+07" in page
    assert 'erasurehead_test_metric{metric="auc"} 1.0' in page
    assert "erasurehead_train_loss 1.0" in page
    assert "erasurehead_round_decode_error_sum 2.0" in page
    assert "erasurehead_round_decode_error_count 3.0" in page
    assert "erasurehead_round_duration_seconds_sum 1.0" in page


def test_who_holds_the_run_up_is_there_by_name() -> None:
    """1. One of six is always slow. 2. Another one dies."""
    slow = make_virtual(
        some_rows(),
        workers=6,
        scheme="uncoded:r=4",
        rounds=120,
        delay="persistent:count=1,slow_s=5,jitter_s=0.1",
    )
    for slot in range(6):
        slow.start(f"w{slot}", slot)
    _, read = watch(slow)

    def of(metric: str) -> dict[str, float]:
        """Return the value of each worker that has one."""
        series = f"erasurehead_worker_{metric}"
        found = {f"w{s}": read(series, worker=str(s), name=f"w{s}") for s in range(6)}
        return {name: value for name, value in found.items() if value is not None}

    while len(slow.records) < 60:
        slow.run(until_s=slow.clock.now + 0.5)
    [chronic] = [name for name, value in of("chronic").items() if value]
    assert len(of("chronic")) == 6
    assert of("late_ratio")[chronic] > 0.9
    assert of("behind_seconds")[chronic] == max(of("behind_seconds").values()) > 0
    assert of("gone") == {}
    dead = next(w for w in slow.workers.values() if w.name != chronic)
    slow.depart(dead)
    slow.run()
    assert of("gone") == {dead.name: 1.0}
    assert dead.name not in of("chronic")


def test_a_departed_workers_series_disappear_and_come_back(cluster: VirtualCluster) -> None:
    """1. Slot 2 has series. 2. Its worker dies. 3. They are gone. 4. A new one continues them."""
    _, read = watch(cluster)
    cluster.run(until_s=2.0)
    per_slot: tuple[tuple[str, dict[str, str]], ...] = (
        ("erasurehead_arrival_seconds_count", {}),
        ("erasurehead_straggler_probability", {}),
        ("erasurehead_worker_placements_total", {}),
        ("erasurehead_worker_rounds_total", {"outcome": "straggled"}),
    )
    before = {name: read(name, worker="2", **more) for name, more in per_slot}
    assert None not in before.values()
    cluster.depart(next(w for w in cluster.workers.values() if w.name == "w2"))
    assert {read(name, worker="2", **more) for name, more in per_slot} == {None}
    assert read("erasurehead_workers", state="ready") == 5
    assert read("erasurehead_straggler_probability", worker="1") is not None
    cluster.start("w2", 2)
    cluster.run(until_s=cluster.clock.now + 0.001)
    assert read("erasurehead_worker_placements_total", worker="2") == 2
    again = read("erasurehead_arrival_seconds_count", worker="2")
    assert again is not None
    assert again >= (before["erasurehead_arrival_seconds_count"] or math.inf)


def test_a_slow_slots_probability_rises(cluster: VirtualCluster) -> None:
    _, read = watch(cluster)
    slow = next(w for w in cluster.workers.values() if w.name == "w0")
    cluster.run(until_s=0.5)
    slow.frozen = True
    cluster.run(until_s=4.5)
    frozen = read("erasurehead_straggler_probability", worker="0") or 0.0
    others = [read("erasurehead_straggler_probability", worker=str(i)) or 0.0 for i in range(1, 6)]
    assert frozen > 0.9
    assert frozen > max(others)


def test_the_endpoint_offers_exactly_what_the_table_defines(cluster: VirtualCluster) -> None:
    metrics, _ = watch(cluster)
    metrics.started(START)
    metrics.checkpointed(3, True)
    metrics.finished(RunSummary("all done", 0, 40, 1.0, 1.0, 0.0))
    cluster.machine.admission.refused["malformed"] += 1
    cluster.run()
    metrics.round_over(dataclasses.replace(cluster.records[-1], metrics={"auc": 0.9}, gap=0.1))
    offered = {f.name: f for f in metrics.collect()}
    defined = {m.name.removesuffix("_total"): m for m in METRICS}
    assert offered.keys() == defined.keys()
    for name, family in offered.items():
        assert family.type == defined[name].kind
        assert family.documentation == defined[name].help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(defined[name].labels), name


def test_every_reason_of_the_protocol_has_a_series(cluster: VirtualCluster) -> None:
    _, read = watch(cluster)
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = page.partition("## What is refused")[2].partition("\n## ")[0]
    reasons = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert "malformed" in reasons
    for reason in reasons:
        assert read("erasurehead_refused_messages_total", reason=reason) == 0, reason
    cluster.machine.admission.refused[cast(Refusal, "of-tomorrow")] = 3
    assert read("erasurehead_refused_messages_total", reason="of-tomorrow") == 3


def test_numbers_go_on_when_the_code_is_rebuilt() -> None:
    """1. A worker of four dies for good. 2. The code is rebuilt for three, and the last record of
    the old code is still to be reported. 3. A fourth comes, and it is rebuilt for four.
    """
    made = make_virtual(
        some_rows(),
        workers=4,
        scheme="uncoded",
        rounds=200,
        delay="exponential:mean_s=0.2",
        refit={"elastic": True, "rebuild_after_s": 5},
    )
    _, read = watch(made)
    for slot in range(4):
        made.start(f"w{slot}", slot)
    victim = next(w for w in made.workers.values() if w.name == "w3")
    made.clock.at(1.0, lambda: made.depart(victim))
    made.clock.at(30.0, lambda: made.start("fourth"))
    made.run(until_s=25.0)
    assert read("erasurehead_slots") == 3
    assert read("erasurehead_straggler_probability", worker="3") is None
    made.run()
    assert made.machine.epoch == 2
    assert read("erasurehead_slots") == 4
    assert read("erasurehead_straggler_probability", worker="3") is not None
    assert read("erasurehead_round_erasure_ratio_count") == 200
    expected = sum(r.erased_tasks for r in made.records)
    assert read("erasurehead_erased_tasks_total") == expected
    ratio = read("erasurehead_round_erasure_ratio_sum")
    # Only rounds of the first code, cut into four tasks, had an erased one.
    assert ratio == pytest.approx(expected / 4)


def test_numbers_go_on_when_tasks_are_placed_anew() -> None:
    """The slots are the same, and so is what is known of them."""
    made = make_virtual(
        some_rows(),
        workers=6,
        scheme="frc:c=2,groups=balanced / fraction:r=3",
        rounds=40,
        seed=9,
        delay="persistent:count=2,slow_s=5,jitter_s=0.2",
        refit={"regroup_after_rounds": 8},
    )
    _, read = watch(made)
    for slot in range(6):
        made.start(f"w{slot}", slot)
    made.run()
    assert made.machine.epoch >= 1
    assert read("erasurehead_code_rebuilds_total") == made.machine.epoch
    assert read("erasurehead_worker_placements_total", worker="0") == 1
    arrivals = [sum(s == a.slot for r in made.records for a in r.arrivals) for s in range(6)]
    slow = int(np.argmin(arrivals))
    chance = read("erasurehead_straggler_probability", worker=str(slow))
    assert chance is not None
    assert chance > 0.95, "as after forty rounds, not after thirty"


def test_checkpoints_age_and_fail(cluster: VirtualCluster) -> None:
    metrics, read = watch(cluster)
    assert read("erasurehead_checkpoint_age_seconds") is None
    metrics.checkpointed(1, True)
    cluster.clock.now += 7.0
    metrics.checkpointed(2, False)
    assert read("erasurehead_checkpoint_age_seconds") == 7.0
    assert read("erasurehead_checkpoint_failures_total") == 1


def test_the_master_is_ready_while_its_loop_turns_and_there_is_work(
    cluster: VirtualCluster,
) -> None:
    pulse = Pulse(60.0)
    served = endpoints(cluster.machine, MasterMetrics(cluster.machine), pulse)
    assert not served.ready()[0]
    pulse.beat()
    assert served.ready() == (
        True,
        {"phase": "gathering", "round": 0, "workers_ready": 0, "slots": 6},
    )
    cluster.run()
    well, about = served.ready()
    assert not well
    assert about["phase"] == "finished"


def record(
    round_: int, duration_s: float, stragglers: tuple[int, ...], late: tuple[Late, ...] = ()
) -> RoundRecord:
    arrivals = tuple(
        Arrival(s, 0.1 * duration_s, delay_s=0.05 * duration_s)
        for s in range(4)
        if s not in stragglers
    )
    made = make_record(round_, duration_s)
    return dataclasses.replace(made, arrivals=arrivals, stragglers=stragglers, late=late)


def later(waiting: WaitingForAll, first: int) -> None:
    """Let enough rounds of one second pass that everything before them is compared."""
    for i in range(HORIZON_ROUNDS + 1):
        waiting.round_over(record(first + i, 1.0, ()))


def test_a_late_result_says_what_waiting_would_have_cost() -> None:
    waiting = WaitingForAll()
    waiting.round_over(record(1, 1.0, (3,)))
    waiting.round_over(record(2, 1.0, (), late=(Late(3, 1, 4.0),)))
    later(waiting, 3)
    assert waiting.waiting.sum - waiting.compared.sum == pytest.approx(3.0)


def test_an_unheard_straggler_counts_as_if_it_came_when_the_round_closed() -> None:
    """The bound is from below: without evidence nothing is claimed."""
    waiting = WaitingForAll()
    waiting.round_over(record(1, 1.0, (3,)))
    later(waiting, 2)
    assert waiting.waiting.sum == waiting.compared.sum


def test_injected_delays_are_known_from_the_seed() -> None:
    waiting = WaitingForAll(lambda round_: np.array([0.0, 0.0, 0.0, 9.0]))
    for i in range(1, 6):
        waiting.round_over(record(i, 1.0, ()))
    waiting.round_over(record(6, 1.0, (3,)))
    later(waiting, 7)
    # 9 s of delay and the slot's usual 0.05 s of its own, instead of 1 s.
    assert waiting.waiting.sum - waiting.compared.sum == pytest.approx(8.05)


def test_in_a_run_the_counterfactual_is_the_longest_delay(cluster: VirtualCluster) -> None:
    """Under a virtual clock messages and arithmetic take no time, so the truth is known."""
    metrics, _ = watch(cluster)
    cluster.run()
    delays = DELAYS.build("exponential:mean_s=0.5", 6, 0)
    compared = cluster.records[: 40 - HORIZON_ROUNDS]
    expected = sum(delays.delays_s(r.round, 0.5).max() for r in compared)
    assert metrics._waiting.waiting.sum == pytest.approx(expected)
    assert metrics._waiting.compared.sum == pytest.approx(sum(r.duration_s for r in compared))
