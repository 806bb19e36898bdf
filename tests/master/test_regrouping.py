"""Tasks are placed anew by what the rounds have taught of each slot, under a virtual clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_OK
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead.straggling.persistent import PersistentDelay
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.keep.restore import restore
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.table import Phase
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.grouped import groups_of
from tests.support.master_scene import start_all
from tests.support.virtual_run import make_virtual, some_rows

Virtual = Callable[..., VirtualCluster]

BALANCED = "frc:c=3,groups=balanced / fraction:r=11"
OSGC = "osgc / fixed / fraction:r=20"
SLOW = "persistent:count=6,slow_s=20,jitter_s=1"
AFTER = 25
"""The default of refit.regroup_after_rounds."""


def regroupings(cluster: VirtualCluster) -> list[int]:
    """Return the rounds after which the run says that it regrouped."""
    found = [re.match(r"regrouping after round (\d+):", n.text) for n in cluster.notices]
    return [int(match[1]) for match in found if match]


def run(scheme: str, **settings: Any) -> VirtualCluster:
    usual = {"workers": 30, "rounds": 120, "step": "0.1", "delay": SLOW, "seed": 46}
    cluster = make_virtual(some_rows(), scheme=scheme, **{**usual, **settings})
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert [r.round for r in cluster.records] == list(range(1, len(cluster.records) + 1))
    return cluster


def slow_slots(seed: int) -> list[int]:
    delays = DELAYS.build(SLOW, 30, seed)
    assert isinstance(delays, PersistentDelay)
    return [int(slot) for slot in delays.slow_slots]


def most_in_a_group(cluster: VirtualCluster, slots: list[int]) -> int:
    code = cluster.machine.plan.code
    return int(np.bincount(groups_of(code).of_symbol[slots]).max())


def test_balanced_groups_spread_the_slow_slots_and_erase_less() -> None:
    slow = slow_slots(46)
    never = run(BALANCED, refit={"regroup_after_rounds": 0})
    assert regroupings(never) == []
    assert most_in_a_group(never, slow) > 1, "a seed whose slow slots share a group"
    regrouped = run(BALANCED)
    assert regroupings(regrouped) == [AFTER]
    assert regrouped.machine.epoch == 1
    assert most_in_a_group(regrouped, slow) == 1
    erased = [[r.erased_tasks for r in cluster.records] for cluster in (never, regrouped)]
    assert erased[0][:AFTER] == erased[1][:AFTER], "the same delays, the same groups"
    assert [np.mean(e[AFTER:]) for e in erased] == pytest.approx([8.0, 6.8], abs=0.05)


def test_osgc_gives_slow_slots_less_and_errs_less() -> None:
    slow = slow_slots(46)
    never = run(OSGC, refit={"regroup_after_rounds": 0})
    regrouped = run(OSGC)
    assert regroupings(regrouped)[0] == AFTER
    rows = np.asarray(regrouped.machine.plan.code.matrix.sum(axis=1)).ravel()
    assert rows[slow].max() < 0.25 * np.median(rows)
    errors = [[r.decode_error for r in cluster.records] for cluster in (never, regrouped)]
    assert errors[0][:AFTER] == errors[1][:AFTER]
    assert [np.mean(e[AFTER:]) for e in errors] == pytest.approx([0.37, 0.14], abs=0.005)
    erased = [[r.erased_tasks for r in cluster.records] for cluster in (never, regrouped)]
    assert [np.mean(e[AFTER:]) for e in erased] == pytest.approx([10.0, 1.9], abs=0.05)


@pytest.mark.parametrize("scheme", [BALANCED, OSGC])
def test_a_slot_that_never_answers_divides_nothing_by_zero(scheme: str) -> None:
    """One worker dies in round 1 for good; with warnings as errors, no number is not finite."""
    cluster = make_virtual(
        some_rows(),
        scheme=scheme,
        workers=30,
        rounds=120,
        step="0.1",
        delay="exponential:mean_s=1",
        membership={"silence_limit_s": 2},
    )
    start_all(cluster)
    victim = next(w for w in cluster.workers.values() if w.name == "w7")
    cluster.clock.at(0.1, victim.kill)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert regroupings(cluster)
    assert 0.9 < cluster.machine.training.session.learnt.slots.probabilities[7] < 1
    assert np.isfinite(cluster.machine.plan.code.matrix.data).all()
    for record in cluster.records:
        assert np.isfinite([record.decode_error, record.amplification, record.gradient_norm]).all()
    # Nobody waits for the empty slot after a regrouping: all times are delays of rounds.
    assert all(r.duration_s < 10 for r in cluster.records)
    gaps = [
        later.opened_s - before.closed_s
        for before, later in zip(cluster.records, cluster.records[1:], strict=False)
    ]
    assert max(gaps) == 0.0


@pytest.mark.parametrize(
    "scheme",
    [
        "egc:c=3",
        "agc:c=3,r=11",
        "agc:c=3,r=11,scale=group",
        "frc:c=3,groups=balanced / exact",
        "frc:c=3,groups=balanced,p=0.3 / fraction:r=11",
        "osgc:p=0.3 / fixed / fraction:r=20",
    ],
)
def test_who_waits_for_everything_or_was_given_probabilities_never_regroups(scheme: str) -> None:
    cluster = run(scheme, rounds=40)
    assert regroupings(cluster) == []
    assert cluster.machine.epoch == 0


@pytest.mark.parametrize("scheme", [BALANCED, OSGC])
def test_slots_that_are_alike_are_left_alone(scheme: str) -> None:
    cluster = run(scheme, rounds=150, delay="exponential:mean_s=1")
    assert regroupings(cluster) == []


def test_it_regroups_again_when_other_slots_become_slow_but_not_at_once() -> None:
    """Gilbert-Elliott slots that stay slow for some 200 rounds each."""
    cluster = run(
        BALANCED,
        rounds=300,
        delay="gilbert-elliott:p_gb=0.002,p_bg=0.005,fast_s=0.1,slow_s=20",
    )
    after = regroupings(cluster)
    assert len(after) > 2
    assert min(np.diff([0, *after])) >= AFTER
    assert cluster.machine.epoch == len(after)


def test_everybody_keeps_its_slot_and_what_was_learnt_of_it(virtual: Virtual) -> None:
    """A slot is empty when tasks are placed anew: nobody moves up."""
    cluster = virtual(
        scheme=BALANCED,
        workers=30,
        rounds=60,
        delay=SLOW,
        seed=46,
        membership={"silence_limit_s": 2},
    )
    start_all(cluster)
    victim = next(w for w in cluster.workers.values() if w.name == "w4")
    cluster.clock.at(0.1, lambda: cluster.depart(victim))
    cluster.run()
    assert regroupings(cluster)
    holders = cluster.machine.membership.holders
    names = [None if m is None else m.name for m in holders]
    assert names == [None if slot == 4 else f"w{slot}" for slot in range(30)]
    late = np.flatnonzero(
        cluster.machine.training.session.learnt.slots.probabilities > 0.9
    ).tolist()
    assert late == sorted({4, *slow_slots(46)})


def test_blocks_that_are_remembered_stay_remembered() -> None:
    """With a cache, the round after a regrouping is no worse than the one before."""
    cluster = run("frc:c=3,groups=balanced / first-copy / fraction:r=11 / sag", rounds=100)
    (after,) = regroupings(cluster)
    before, then = cluster.records[after - 1], cluster.records[after]
    assert then.train_loss < 1.05 * before.train_loss
    assert then.gradient_norm < 2 * before.gradient_norm


def test_a_worker_that_is_silent_while_tasks_are_placed_anew_is_not_waited_for(
    virtual: Virtual,
) -> None:
    """It freezes in the last round before; the others go on when its slot is free."""
    cluster = virtual(
        scheme=BALANCED,
        timing=Timing(message_s=lambda: 0.001),
        workers=30,
        rounds=60,
        delay=SLOW,
        seed=46,
        membership={"silence_limit_s": 3},
    )
    start_all(cluster)

    def freeze() -> None:
        if cluster.machine.round < AFTER:
            cluster.clock.after(0.01, freeze)
        else:
            next(iter(cluster.workers.values())).frozen = True

    freeze()
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert regroupings(cluster)[0] == AFTER
    before, then = cluster.records[AFTER - 1], cluster.records[AFTER]
    assert 0 < then.opened_s - before.closed_s < 6


class Interrupted:
    """A run on a store whose state can be taken and gone on with."""

    def __init__(self, store: Store, rounds: int, first_round: int = 1) -> None:
        given = {
            "store": str(store.path),
            "scheme": "frc:c=2,groups=balanced / first-copy:scale=group / fraction:r=3 / sag",
            "workers": 6,
            "rounds": rounds,
            "step": "0.5",
            "seed": 9,
            "delay": "persistent:count=2,slow_s=5,jitter_s=0.2",
            "refit": {"regroup_after_rounds": 8},
        }
        plan = make_plan(load(RunSettings, given, environment={}), store, None)
        self.store = store
        self.descent = make_descent(plan, store.train)
        self.machine = Master(plan, 0.0, first_round)
        arithmetic = RealArithmetic(store.train)
        self.cluster = VirtualCluster(
            self.machine, self.descent, arithmetic, Timing(), checked=True
        )

    def snapshot(self) -> Snapshot:
        arrays = {**self.descent.state(), **self.machine.state()}
        taken = Snapshot(self.machine.rounds_done, self.machine.plan.run, RunTimes(1.0), arrays)
        return Snapshot.from_bytes(taken.to_bytes())

    def gone_on(self, rounds: int) -> Interrupted:
        taken = self.snapshot()
        again = Interrupted(self.store, rounds, taken.round + 1)
        restore(again.machine, again.descent, again.cluster.finishing, taken)
        return again

    def run(self) -> None:
        start_all(self.cluster)
        self.cluster.run()
        assert self.cluster.finished is not None
        assert self.cluster.finished.exit_code == EXIT_OK

    @property
    def theta(self) -> np.ndarray:
        return self.descent.model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    options = {"rows": "80", "columns": "20", "nnz": "4", "seed": "3"}
    out = tmp_path_factory.mktemp("stores") / "small"
    return Store.open(prepare("synthetic", source=None, out=out, options=options).path)


def test_resumed_right_after_a_regrouping_it_goes_on_bit_for_bit(store: Store) -> None:
    """1. Interrupted while workers load the rows of the new groups. 2. Resumed to the end."""
    calm = Interrupted(store, 60)
    calm.run()
    after, *later = regroupings(calm.cluster)
    first = Interrupted(store, 60)
    start_all(first.cluster)
    while first.machine.epoch == 0:
        assert first.cluster.clock.step()
    second = first.gone_on(60)
    matrices = [x.machine.plan.code.matrix.toarray() for x in (first, second)]
    np.testing.assert_array_equal(matrices[1], matrices[0])
    second.run()
    assert [r.round for r in second.cluster.records] == list(range(after + 1, 61))
    assert regroupings(second.cluster) == later
    assert second.theta.tobytes() == calm.theta.tobytes()


def test_resumed_long_after_a_regrouping_it_goes_on_bit_for_bit(store: Store) -> None:
    calm = Interrupted(store, 60)
    calm.run()
    first = Interrupted(store, 30)
    first.run()
    second = first.gone_on(60)
    second.run()
    assert second.theta.tobytes() == calm.theta.tobytes()
    ends = [x.cluster.records[-1] for x in (calm, second)]
    assert ends[0].decode_error == ends[1].decode_error


def test_resumed_from_just_before_it_regroups_all_the_same(store: Store) -> None:
    """The checkpoint is of the last round of the old groups, and holds those."""
    first = Interrupted(store, 8)
    first.run()
    second = first.gone_on(60)
    before = Interrupted(store, 8).machine.plan.code.matrix.toarray()
    np.testing.assert_array_equal(second.machine.plan.code.matrix.toarray(), before)
    second.run()
    assert regroupings(second.cluster)[0] == 9


def test_an_elastic_run_goes_on_with_the_workers_it_had_come_to(store: Store) -> None:
    """Five of six were left; those five suffice when the master starts again."""

    def run(first_round: int) -> tuple[Master, Descent, VirtualCluster]:
        given = {
            "store": str(store.path),
            "scheme": "uncoded:r=4,cache=saga",
            "workers": 6,
            "rounds": 60,
            "step": "0.5",
            "delay": "exponential:mean_s=0.2",
            "refit": {"elastic": True, "rebuild_after_s": 2},
        }
        plan = make_plan(load(RunSettings, given, environment={}), store, None)
        descent, machine = make_descent(plan, store.train), Master(plan, 0.0, first_round)
        arithmetic = RealArithmetic(store.train)
        cluster = VirtualCluster(machine, descent, arithmetic, Timing(), checked=True)
        return machine, descent, cluster

    machine, descent, cluster = run(1)
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))
    cluster.clock.at(0.5, lambda: cluster.depart(victim))
    while machine.rounds_done < 40:
        assert cluster.clock.step()
    assert machine.plan.code.n_workers == 5
    taken = Snapshot(40, "run", RunTimes(), {**descent.state(), **machine.state()})
    again, resumed, cluster = run(41)
    restore(again, resumed, cluster.finishing, taken)
    assert again.plan.code.n_workers == 5
    # Observers count slots, of which there may be six again.
    assert again.plan.start("unnamed", "constant", 41, 0.0).n_workers == 6
    remembered = resumed.estimate.state()
    assert {f"values_{i}" for i in range(5)} <= remembered.keys()
    for i in range(5):
        cluster.start(f"w{i}")
    cluster.run(until_s=1.0)
    assert again.phase is Phase.TRAINING
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK


def test_a_checkpoint_without_probabilities_is_gone_on_with(store: Store) -> None:
    """As of a scheme of an earlier version, or of a code of another size."""
    first = Interrupted(store, 30)
    first.run()
    arrays = {
        k: v
        for k, v in first.snapshot().arrays.items()
        if k not in ("code/probabilities", "code/placed_round")
    }
    second = Interrupted(store, 60, 31)
    taken = Snapshot(30, "run", RunTimes(1.0), arrays)
    restore(second.machine, second.descent, second.cluster.finishing, taken)
    second.run()
    assert regroupings(second.cluster)
