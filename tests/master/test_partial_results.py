"""Runs whose workers send task by task, under a virtual clock that checks all invariants."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_OK
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.messages import Result
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.keep.restore import restore
from erasurehead_master.machine.events import Received
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.rounds import WAITED
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.master_scene import start_all
from tests.support.virtual_run import make_virtual, some_rows

SLOW = "persistent:count=2,slow_s=3,jitter_s=1"


def run(scheme: str, **settings: Any) -> VirtualCluster:
    usual: dict[str, Any] = {"workers": 6, "rounds": 60, "step": "auto", "delay": SLOW, "l2": 1e-2}
    cluster = make_virtual(some_rows(), scheme=scheme, **{**usual, **settings})
    start_all(cluster)
    return cluster


def finished(cluster: VirtualCluster) -> VirtualCluster:
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    return cluster


def test_the_sum_of_all_tasks_is_the_whole_result() -> None:
    """Exact rounds of both kinds go the same way, to rounding."""
    ways = [
        finished(run(f"frc:c=3{parts}", tasks=6, rounds=20)).conductor.model.copy()
        for parts in ("", ",parts=tasks")
    ]
    assert np.linalg.norm(ways[0]) > 0.1
    np.testing.assert_allclose(ways[1], ways[0], rtol=1e-9, atol=1e-12)


def test_exact_rounds_do_not_wait_for_a_slot_if_others_hold_its_tasks() -> None:
    """The time of a round is that of the last task, of which each copy began with another."""
    whole, parts = (
        finished(run(f"frc:c=3{parts}", tasks=6, rounds=40, delay="exponential:mean_s=1"))
        for parts in ("", ",parts=tasks")
    )
    assert all(r.decode_error == 0.0 for r in parts.records)
    assert parts.records[-1].closed_s < 0.95 * whole.records[-1].closed_s


def test_it_gets_to_the_minimum_in_less_time_than_with_whole_results() -> None:
    """With the cache and the method that suit it, after as many tasks a round."""
    delay = "shifted-exponential:shift_s=1,mean_s=4"
    closed = []
    for scheme in ("cached:c=3,r=2", "cached:c=3,r=6,parts=tasks"):
        cluster = run(scheme, rounds=60, delay=delay, workers=9, seed=3, l2=0.0)
        least = min_gradient_round(cluster)
        closed.append(cluster.records[least].closed_s)
    assert closed[1] < 0.9 * closed[0]


def min_gradient_round(cluster: VirtualCluster) -> int:
    """Run, and return the first round whose gradient estimate is a thousandth of the first one."""
    finished(cluster)
    norms = [r.gradient_norm for r in cluster.records]
    return next(i for i, norm in enumerate(norms) if norm < 1e-3 * norms[0])


def test_a_task_that_is_overdue_is_waited_for_and_a_slot_is_told_as_soon_as_it_has_come() -> None:
    cluster = finished(run("cached:c=3,r=3,parts=tasks", optimizer="anchored-lbfgs:age=2"))
    waited = [r for r in cluster.records if r.reason.endswith(WAITED)]
    assert len(waited) >= 5
    memory = cluster.conductor._descent.estimate.memory
    assert memory is not None
    assert len(memory.heard) == 6
    assert max(age for age in memory.ages if age is not None) <= 4


def test_tasks_that_no_worker_has_any_more_are_left_out() -> None:
    """Both slots of a block die. Its two tasks are two units that are given up, and the others get
    to their own minimum."""
    cluster = make_virtual(
        some_rows(),
        scheme="frc:c=2,parts=tasks,groups=consecutive / first-copy / fraction:r=2 / sag",
        workers=4,
        rounds=120,
        step="auto",
        delay="exponential:mean_s=1",
        l2=1e-2,
    )
    start_all(cluster)
    for worker in list(cluster.workers.values())[2:]:
        cluster.clock.at(10.0, partial(cluster.depart, worker))
    finished(cluster)
    assert cluster.records[-1].erased_tasks >= 2
    assert cluster.records[-1].gap < 1e-6
    told = {n.text for n in cluster.notices if "are left out" in n.text}
    assert told == {"the rows of slots 2, 3 are left out until a worker sends their gradient"}


def test_what_was_sent_before_a_worker_dies_counts() -> None:
    """1. It dies between two tasks of the first round. 2. Another worker takes its slot and sends
    all of them; the one that is known is counted as a duplicate, and the round is whole."""
    sent: list[tuple[int, int]] = []
    cluster = run("frc:c=3,parts=tasks", rounds=1, delay="persistent:fraction=1,slow_s=3")
    handle = cluster.handle

    def watch(event: object) -> None:
        if isinstance(event, Received) and isinstance(event.message, Result):
            sent.append((event.message.slot, event.message.part))
        handle(event)  # type: ignore[arg-type]

    cluster.handle = watch  # type: ignore[method-assign]
    victim = next(iter(cluster.workers.values()))
    for other in [w for w in cluster.workers.values() if w is not victim]:
        cluster.clock.at(0.5, partial(cluster.depart, other))
    cluster.clock.at(1.5, lambda: cluster.depart(victim))
    for slot in range(6):
        cluster.clock.at(1.0, partial(cluster.start, f"new{slot}", slot or None))
    finished(cluster)
    (record,) = cluster.records
    assert sent[0] == (0, 0)
    assert record.decode_error == 0.0
    assert record.arrivals[0].after_s == pytest.approx(1.0)


def test_an_elastic_run_fits_the_tasks_to_who_is_there() -> None:
    """1. Two of six workers die for good. 2. The code is rebuilt for four, and each task is sent by
    itself as before. 3. They come back."""
    cluster = run(
        "frc:c=3,parts=tasks",
        rounds=400,
        delay="exponential:mean_s=0.2",
        refit={"elastic": True, "rebuild_after_s": 2},
    )
    for i, victim in enumerate(list(cluster.workers.values())[:2]):
        cluster.clock.at(1.0, partial(cluster.depart, victim))
        cluster.clock.at(15.0, partial(cluster.start, f"new{i}"))
    finished(cluster)
    assert [n.text for n in cluster.notices if "rebuilding" in n.text] == [
        "rebuilding the code for 4 workers (was 6), with load 3",
        "rebuilding the code for 6 workers (was 4), with load 3",
    ]
    assert cluster.machine.plan.code.counts_parts
    assert cluster.records[-1].erased_tasks == 0


class Interrupted:
    """A run on a store whose state can be taken and gone on with."""

    def __init__(self, store: Store, scheme: str, first_round: int = 1) -> None:
        given = {
            "store": str(store.path),
            "scheme": scheme,
            "workers": 6,
            "rounds": 40,
            "seed": 9,
            "l2": 1e-2,
            "until": "none",
            "delay": SLOW,
        }
        plan = make_plan(load(RunSettings, given, environment={}), store, None)
        self.store, self.scheme = store, scheme
        self.descent = make_descent(plan, store.train)
        self.machine = Master(plan, 0.0, first_round)
        self.cluster = VirtualCluster(
            self.machine, self.descent, RealArithmetic(store.train), Timing(), checked=True
        )
        start_all(self.cluster)

    def gone_on(self) -> Interrupted:
        arrays = {**self.descent.state(), **self.machine.state()}
        taken = Snapshot(self.machine.rounds_done, self.machine.plan.run, RunTimes(1.0), arrays)
        taken = Snapshot.from_bytes(taken.to_bytes())
        again = Interrupted(self.store, self.scheme, taken.round + 1)
        restore(again.machine, again.descent, again.cluster.finishing, taken)
        return again


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    options = {"rows": "80", "columns": "20", "nnz": "4", "seed": "3"}
    out = tmp_path_factory.mktemp("stores") / "small"
    return Store.open(prepare("synthetic", source=None, out=out, options=options).path)


@pytest.mark.parametrize(
    "scheme",
    [
        "cached:parts=tasks",
        "frc:c=3,parts=tasks / first-copy:scale=group / fraction:r=5 / saga",
        "frc:c=3,parts=tasks / first-copy / adaptive:warmup=2 / sag",
    ],
)
def test_resumed_in_the_middle_of_a_workers_tasks_it_goes_on_bit_for_bit(
    scheme: str, store: Store
) -> None:
    """1. A calm run. 2. The same, its master interrupted in a round of which some tasks are in; it
    opens that round again."""
    calm = Interrupted(store, scheme)
    calm.cluster.run()
    first = Interrupted(store, scheme)
    rounds = first.machine.training
    while not (rounds.round == 12 and rounds.rounds.n_arrived == 1):
        assert first.cluster.clock.step()
    again = first.gone_on()
    again.cluster.run()
    assert again.cluster.finished is not None
    assert again.cluster.finished.exit_code == EXIT_OK
    assert [r.round for r in again.cluster.records] == list(range(12, 41))
    assert again.descent.model.tobytes() == calm.descent.model.tobytes()
