"""A method that follows units, from arrivals to the rounds that wait for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import EXIT_OK, DataError, UsageError
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.optimizing.anchored_lbfgs import AnchoredLbfgs
from erasurehead.records import Observer, RunStart
from erasurehead.straggling import DELAYS
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.machine.rounds import WAITED
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.missing import GONE_AFTER
from erasurehead_master.run.seams import Usage
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.dense_anchored import DenseAnchored
from tests.support.played_units import PlayedUnits, same, some_units
from tests.support.virtual_run import COLUMNS, some_rows

Virtual = Callable[..., VirtualCluster]


def played(*rounds: tuple[int, ...]) -> PlayedUnits:
    """Return three units after some rounds; those as old as three rounds are due."""
    units = some_units(partial(AnchoredLbfgs, age=3), n_units=3)
    for slots in rounds:
        units.play(*slots)
    return units


def test_the_oldest_units_are_asked_for_by_their_slots() -> None:
    """Also those that were never heard: when the run is as old."""
    everybody = tuple(frozenset({slot}) for slot in range(3))
    assert played().descent.begin() == ()
    assert played((0,), (0,)).descent.begin() == everybody[1:]
    assert played((0, 1, 2), (0,), (0,)).descent.begin() == everybody[1:]


def test_a_checkpoint_says_whether_the_run_has_come_from_its_start() -> None:
    """One of an earlier version does not, and all units are asked for at once then."""
    everybody = tuple(frozenset({slot}) for slot in range(3))
    units = played((0,))
    state = units.descent.state()
    assert state.pop("units/from_start")
    for more, due in (({"units/from_start": np.array(True)}, ()), ({}, everybody[1:])):
        resumed = played()
        taken = Snapshot(1, "run", RunTimes(), state | more)
        resumed.descent.load_state(taken.part, same_code=True)
        assert resumed.descent.begin() == due


def test_a_result_that_the_decoder_gives_no_weight_is_not_heard() -> None:
    units = played((0, 1, 2), (0, 1))
    units.descent.begin()
    values, support, loss = units.sent(2, units.descent.slice(None))
    units.descent.take(CodedVector(2, support, values, loss), 0.0)
    units.close(0)
    assert units.descent.state()["estimate/rounds"].tolist() == [3, 2, 1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("on_supports", [False, True])
def test_late_results_join_at_the_anchor_of_their_round(seed: int, on_supports: bool) -> None:
    """With results one and two rounds late, the method is what dense matrices make of it; and of
    each unit the gradient at its anchor is remembered."""
    rng = np.random.default_rng((seed, 0x1A7E))
    ours = some_units(partial(AnchoredLbfgs, age=100), seed=seed, on_supports=on_supports)
    dense, queries = some_units(DenseAnchored, seed=seed), list[FloatArray]()
    n_joined = 0
    for t in range(10):
        units = range(8) if t == 0 else rng.permutation(8)[:2].tolist()
        belated = [] if t < 2 else rng.permutation(8)[:2].tolist()
        ages = rng.integers(1, 3, len(belated)).tolist()
        for played in (ours, dense):
            played.descent.begin()
            for unit, age in zip(belated, ages, strict=True):
                played.late(unit, queries[t - age], age)
        queries.append(ours.method.query.copy())
        before = np.array(ours.state("estimate")["estimate/rounds"])
        for played in (ours, dense):
            played.close(*units)
        after = np.array(ours.state("estimate")["estimate/rounds"])
        n_joined += int(((after > before) & (after <= t)).sum())
        np.testing.assert_allclose(ours.method.query, dense.method.query, rtol=1e-7, atol=1e-9)
        state = ours.descent.state()
        for unit, place in enumerate(state["anchors/places"]):
            anchor = state[f"anchors/point_{place}"]
            assert anchor.tobytes() == queries[after[unit] - 1].tobytes()
            np.testing.assert_array_equal(
                state[f"estimate/values_{unit}"], ours.sent(unit, anchor)[0]
            )
    assert n_joined >= 5


def test_a_late_result_is_left_out_if_its_unit_is_in_time_or_it_is_too_old() -> None:
    units, queries = some_units(partial(AnchoredLbfgs, age=100), n_units=3), list[FloatArray]()
    for t, slots in enumerate([(0, 1, 2), (0, 1), (0, 1), (0, 1), (0, 1)]):
        queries.append(units.method.query.copy())
        units.descent.begin()
        if t == 4:
            units.late(1, queries[3], 1)  # it comes in time, too
            units.late(2, queries[1], 3)  # what was broadcast then is no longer kept
            units.late(0, np.zeros(12), 1)
        units.close(*slots)
    assert units.state("estimate")["estimate/rounds"].tolist() == [5, 5, 1]


def test_a_late_result_of_a_rejected_round_leaves_everything() -> None:
    units = some_units(partial(AnchoredLbfgs, first_step=30.0, age=100), n_units=3)
    first = units.method.query.copy()
    units.play(0, 1)
    before = units.state("estimate", "anchors")
    units.descent.begin()
    units.late(2, first, 1)
    units.close(0)
    assert isinstance(units.method, AnchoredLbfgs)
    assert units.method.guard.rejections == 1
    assert same(units.state("estimate", "anchors"), before)


def test_late_results_join_in_whole_runs(with_the_method: Virtual) -> None:
    """Messages take as long as rounds, so that many results are late; the run comes as near."""
    timing = Timing(message_s=lambda: 0.3)
    cluster = with_the_method(
        scheme="uncoded:r=2,cache=sag",
        rounds=90,
        l2=1e-3,
        timing=timing,
        delay="exponential:mean_s=0.5",
    )
    run(cluster)
    assert sum(len(record.late) for record in cluster.records) > 50
    np.testing.assert_allclose(cluster.conductor.model, the_best(), rtol=1e-5)


def the_best() -> FloatArray:
    rows = some_rows()
    X = rows.matrix().toarray()
    H = X.T @ X / len(X) + 1e-3 * np.eye(COLUMNS)
    return np.asarray(np.linalg.solve(H, X.T @ rows.labels / len(X)))


def test_a_checkpoint_without_its_anchors_is_refused() -> None:
    units = played((0, 1, 2))
    state = {k: v for k, v in units.descent.state().items() if not k.startswith("anchors")}
    taken = Snapshot(1, "run", RunTimes(), state)
    with pytest.raises(DataError, match="at which the gradients of units 0, 1, 2 were taken"):
        played().descent.load_state(taken.part, same_code=True)


def test_a_state_of_another_code_leaves_the_model_and_nothing_of_units() -> None:
    units = played((0, 1, 2), (0,), (1,))
    taken = Snapshot(2, "run", RunTimes(), units.descent.state())
    other = played()
    other.descent.load_state(taken.part, same_code=False)
    assert other.descent.model.tobytes() == units.descent.model.tobytes()
    assert len(other.descent.begin()) == 3
    assert isinstance(other.method, AnchoredLbfgs)
    assert len(other.method.steps.pairs) == 0


@pytest.fixture
def with_the_method(virtual: Virtual) -> Virtual:
    """Make virtual clusters whose units are due at four rounds."""

    def make(**settings: object) -> VirtualCluster:
        return virtual(optimizer="anchored-lbfgs:age=4", step="auto", workers=6, **settings)

    return make


SLOW = "persistent:count=1,slow_s=60,jitter_s=1"


def slow_slot(seed: int) -> int:
    """Return the one of six slots that a minute is added to."""
    return int(np.argmax(DELAYS.build(SLOW, 6, seed).delays_s(1, 1.0)))


def slots_of(cluster: VirtualCluster) -> list[list[int]]:
    return [[arrival.slot for arrival in record.arrivals] for record in cluster.records]


def run(cluster: VirtualCluster) -> None:
    for slot in range(6):
        cluster.start(f"w{slot}", slot)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK


def test_it_trains(with_the_method: Virtual) -> None:
    """To the minimum in 60 short rounds, with supports of their own and groups of two slots."""
    scheme = "frc:c=2 / first-copy / fraction:r=2 / sag"
    cluster = with_the_method(scheme=scheme, rounds=60, l2=1e-3, delay="exponential:mean_s=1")
    run(cluster)
    np.testing.assert_allclose(cluster.conductor.model, the_best(), rtol=1e-6)


def test_rounds_wait_for_units_that_are_overdue(with_the_method: Virtual) -> None:
    """One of six slots always takes a minute longer. It is heard in the fourth round, and in one of
    any four from then on (more often if rounds are rejected), though two arrivals are enough."""
    cluster = with_the_method(scheme="uncoded:r=2,cache=sag", rounds=13, delay=SLOW, seed=1)
    run(cluster)
    slow = slow_slot(seed=1)
    heard = [slow in slots for slots in slots_of(cluster)]
    assert heard[:4] == [False, False, False, True]
    assert all(any(heard[t : t + 4]) for t in range(10))
    assert sum(heard) <= 5
    for record, slots in zip(cluster.records, slots_of(cluster), strict=True):
        assert record.reason.endswith(WAITED) == (len(slots) > 2)


def test_no_round_waits_for_a_unit_that_cannot_be_heard(with_the_method: Virtual) -> None:
    """One of six workers dies for good once it was heard; rounds close without its slot."""
    cluster = with_the_method(scheme="uncoded:r=2,cache=sag", rounds=30, delay=SLOW, seed=1)
    victim = slow_slot(seed=1)
    cluster.clock.at(68.0, lambda: cluster.depart(list(cluster.workers.values())[victim]))
    run(cluster)
    assert [victim in slots for slots in slots_of(cluster)] == [t == 3 for t in range(30)]
    assert len(cluster.records) == 30
    told = [notice.text for notice in cluster.notices if "left out" in notice.text]
    assert told == [f"the rows of slot {victim} are left out until a worker sends their gradient"]
    verdict = cluster.conductor.conclude(Usage).verdict
    assert verdict.startswith("not converged")
    assert verdict.endswith("; no worker has 1 of 6 parts of the rows: start more workers")


def test_rows_that_are_gone_for_good_do_not_keep_a_run_from_its_end(
    with_the_method: Virtual,
) -> None:
    """The gap is that of the rows which are left, once nobody can be expected to have the others
    any more; the last line says so."""
    cluster = with_the_method(
        scheme="uncoded:r=2,cache=sag", rounds=200, delay=SLOW, seed=1, l2=1e-3, until="gap:1e-4"
    )
    victim = slow_slot(seed=1)
    cluster.clock.at(62.0, lambda: cluster.depart(list(cluster.workers.values())[victim]))
    run(cluster)
    first_known = next(record.round for record in cluster.records if not math.isnan(record.gap))
    assert GONE_AFTER < first_known <= len(cluster.records) < 100
    assert cluster.conductor.conclude(Usage).verdict.startswith(
        "converged without 1 of 6 parts of the rows, which no worker has: the loss is within"
    )


def test_it_needs_an_estimate_that_sums_what_it_remembers(with_the_method: Virtual) -> None:
    for scheme in ("uncoded", "uncoded:r=2,cache=saga"):
        sentence = r"optimizer 'anchored-lbfgs:age=4' .* scheme 'uncoded"
        with pytest.raises(UsageError, match=sentence):
            with_the_method(scheme=scheme)


class Starts(Observer):
    """Keeps what observers are told when the first round opens."""

    def __init__(self) -> None:
        self.told: list[RunStart] = []

    def started(self, start: RunStart) -> None:
        self.told.append(start)


@pytest.mark.parametrize(
    ("scheme", "optimizer", "reason"),
    [
        ("uncoded:r=2,cache=sag", "anchored-lbfgs", "remembered of 6 units"),
        ("egc:c=2", "lbfgs", "every round has the full gradient"),
        ("agc:c=2,r=2", "restarted-nesterov", "erasures leave rounds inexact"),
    ],
)
def test_a_run_says_which_method_it_has_chosen_and_why(
    virtual: Virtual, scheme: str, optimizer: str, reason: str
) -> None:
    for written, told in (("auto", optimizer), ("nesterov", "nesterov")):
        cluster = virtual(optimizer=written, step="auto", scheme=scheme, workers=6, rounds=2)
        starts = Starts()
        cluster.observers.append(starts)
        run(cluster)
        assert [start.optimizer for start in starts.told] == [told]
        reasons = [notice.text for notice in cluster.notices if reason in notice.text]
        assert len(reasons) == (written == "auto")
        assert all(told in text for text in reasons)
