"""A method of the tests' own that follows units, from arrivals to the rounds that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest

from erasurehead import optimizing
from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.errors import EXIT_OK, DataError, UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.models.least_squares import LeastSquares
from erasurehead.optimizing import making
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.registry import Registry
from erasurehead.rows import CsrRows
from erasurehead.straggling import DELAYS
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.machine.rounds import WAITED
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import RunTimes
from erasurehead_simulator.virtual.cluster import VirtualCluster
from tests.support.anchored import AnchoredBfgs
from tests.support.virtual_run import COLUMNS, some_rows

Virtual = Callable[..., VirtualCluster]

ROWS = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
LABELS = np.array([1.0, 2.0, 2.0])
PENALTY = L2(0.1)
LARGEST = 1.485656226847
"""Of the curvatures in the metric, the penalty's included."""


class ThreeUnits:
    """Least squares on three rows, one a unit and slot, as a master without workers plays it."""

    def __init__(self, gamma: float = 1 / LARGEST) -> None:
        rows = CsrRows(
            np.arange(0, 7, 2), np.tile(np.arange(2), 3), ROWS.ravel(), LABELS, n_columns=2
        )
        problem = Problem(np.zeros(2), PENALTY, RowsCurvature(LeastSquares(2), rows))
        self.method = AnchoredBfgs(problem, gamma=gamma)
        code = CODES.build("uncoded", 3, None, np.random.default_rng(0))
        self.descent = Descent(
            self.method, Constant(eta=1.0), ESTIMATES.build("sag", code, 2, False), 3
        )
        self.round = 0
        self.loss = 0.0

    def play(self, *slots: int) -> ThreeUnits:
        """Let a round close in which these slots have arrived."""
        self.round += 1
        self.descent.begin()
        theta = self.descent.slice(None)
        self.loss = float(np.mean(0.5 * (ROWS @ theta - LABELS) ** 2)) + PENALTY.value(theta)
        for slot in slots:
            self.descent.estimate.take(vector_of(slot, theta), 1.0)
        outcome = self.descent.step(decoding_of(slots), self.round)
        assert outcome.diverged is None
        return self

    def state(self, *owners: str) -> dict[str, FloatArray]:
        return {
            key: value
            for key, value in self.descent.state().items()
            if key.partition("/")[0] in owners and key != "estimate/round"
        }


def decoding_of(slots: Sequence[int]) -> Decoding:
    weights = np.isin(np.arange(3), slots).astype(float)
    return Decoding(1.0, weights, float(np.mean((weights - 1) ** 2)), 1.0, 3 - len(slots), {})


def vector_of(slot: int, theta: FloatArray) -> CodedVector:
    residual = ROWS[slot] @ theta - LABELS[slot]
    return CodedVector(slot, None, residual * ROWS[slot], 0.5 * residual**2)


def same(one: dict[str, FloatArray], other: dict[str, FloatArray]) -> bool:
    return one.keys() == other.keys() and all(
        one[key].tobytes() == other[key].tobytes() for key in one
    )


class Worked(NamedTuple):
    """A round of the study's example: what arrives, what it makes of it, where it asks next."""

    heard: tuple[int, ...]
    loss: float
    kappa: float
    sigma: float
    gamma: float
    mean: tuple[float, float]
    gradient: tuple[float, float]
    then: tuple[float, float]


WORKED = [
    Worked(
        heard=(0, 1, 2),
        loss=1.5,
        kappa=0.0,
        sigma=1.0,
        gamma=0.673103226661,
        mean=(0.0, 0.0),
        gradient=(-1.0, -2.0),
        then=(0.768738057164, 1.012824878687),
    ),
    Worked(
        heard=(0, 2),
        loss=0.097814412980,
        kappa=0.891517508950,
        sigma=1.0,
        gamma=0.687997057220,
        mean=(0.512492038109, 0.675216585791),
        gradient=(-0.692504777134, -0.582045169839),
        then=(1.308825166254, 1.029981838939),
    ),
    Worked(
        heard=(1,),
        loss=0.174320764009,
        kappa=1.769430600583,
        sigma=1.769430600583,
        gamma=0.501877285856,
        mean=(0.948767093527, 1.018543865437),
        gradient=(0.130725063472, 0.231889893190),
        then=(0.907868005112, 0.965030085240),
    ),
    Worked(
        heard=(0, 1),
        loss=0.092697832285,
        kappa=0.668212881522,
        sigma=1.651246060334,
        gamma=0.466253842657,
        mean=(0.861491355796, 0.980961683055),
        gradient=(0.013071167401, 0.072828703338),
        then=(0.856657633647, 0.969772675594),
    ),
]


def test_it_finds_in_its_findings_what_the_study_worked_out() -> None:
    three = ThreeUnits()
    method = three.method
    for row in WORKED:
        three.play(*row.heard)
        found = [three.loss, method.kappa, method.sigma, method.gamma]
        assert found == pytest.approx([row.loss, row.kappa, row.sigma, row.gamma], rel=1e-10)
        np.testing.assert_allclose(method.mean, row.mean, rtol=1e-10)
        np.testing.assert_allclose(method.gradient, row.gradient, rtol=1e-9)
        np.testing.assert_allclose(three.descent.model, row.then, rtol=1e-10)


def test_a_rejected_round_is_as_if_nobody_had_arrived() -> None:
    """1. The first step is eight times too long. 2. What two units say there makes the method
    reject the round. 3. Memory and anchors are as before, and the method asks elsewhere. 4. It
    goes on from there as the study says."""
    three = ThreeUnits(gamma=8 / LARGEST).play(0, 1, 2)
    before = three.state("estimate", "anchors")
    assert three.descent.model == pytest.approx([6.149904457313, 8.102599029493], rel=1e-10)
    three.play(0, 2)
    assert three.method.kappa == pytest.approx(12.509818473456, rel=1e-10)
    assert three.method.rejections == 1
    assert same(three.state("estimate", "anchors"), before)
    assert three.descent.model == pytest.approx([0.491606210783, 0.647699168992], rel=1e-10)
    three.play(0, 1)
    assert three.method.rejections == 0
    assert three.method.sigma == pytest.approx(10.741910355933, rel=1e-10)
    assert three.descent.model == pytest.approx([0.350856436773, 0.580733692105], rel=1e-10)
    assert not same(three.state("estimate", "anchors"), before)


def test_the_oldest_units_are_asked_for_by_their_slots() -> None:
    """In the first round all of them, and again when units hold other rows."""
    three = ThreeUnits()
    three.method.oldest = 3
    everybody = tuple(frozenset({slot}) for slot in range(3))
    assert three.descent.begin() == everybody
    three = ThreeUnits()
    three.method.oldest = 3
    three.play(0, 1, 2).play(0).play(0)
    assert three.descent.begin() == everybody[1:]


def test_late_results_are_not_remembered_behind_its_back() -> None:
    three = ThreeUnits().play(0, 1, 2).play(0)
    before = three.state("estimate")
    three.descent.begin()
    three.descent.late(vector_of(1, np.ones(2)), 1)
    assert same(three.state("estimate"), before)


def test_a_resumed_run_goes_on_to_the_last_bit() -> None:
    """Between any two rounds, one that was rejected included."""
    rounds = [(0, 1, 2), (2, 0), (1, 0), (2,), (1, 2), (0,)]
    for at in range(len(rounds)):
        whole, before, resumed = (ThreeUnits(gamma=8 / LARGEST) for _ in range(3))
        for slots in rounds:
            whole.play(*slots)
        for slots in rounds[:at]:
            before.play(*slots)
        taken = Snapshot(at, "run", RunTimes(), before.descent.state())
        resumed.descent.load_state(taken.part, same_code=True)
        resumed.round = at
        for slots in rounds[at:]:
            resumed.play(*slots)
        assert same(resumed.descent.state(), whole.descent.state())


def test_a_checkpoint_without_its_anchors_is_refused() -> None:
    three = ThreeUnits().play(0, 1, 2)
    state = {k: v for k, v in three.descent.state().items() if not k.startswith("anchors")}
    taken = Snapshot(1, "run", RunTimes(), state)
    with pytest.raises(DataError, match="broadcast in rounds 1, whose gradients"):
        ThreeUnits().descent.load_state(taken.part, same_code=True)


def test_a_state_of_another_code_leaves_the_model_and_nothing_of_units() -> None:
    three = ThreeUnits().play(0, 1, 2).play(0)
    taken = Snapshot(2, "run", RunTimes(), three.descent.state())
    other = ThreeUnits()
    other.descent.load_state(taken.part, same_code=False)
    assert other.descent.model.tobytes() == three.descent.model.tobytes()
    assert len(other.descent.begin()) == 3
    assert not other.method.pairs


@pytest.fixture
def with_the_method(virtual: Virtual, monkeypatch: pytest.MonkeyPatch) -> Virtual:
    """Make virtual clusters in which `anchored` is an optimizer."""
    known = Registry("optimizer", {"anchored": AnchoredBfgs})
    for module in (optimizing, making):  # settings and master look there
        monkeypatch.setattr(module, "METHODS", known)

    def make(**settings: object) -> VirtualCluster:
        return virtual(optimizer="anchored:oldest=4", step="auto", workers=6, **settings)

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
    rows = some_rows()
    X = rows.matrix().toarray()
    H = X.T @ X / len(X) + 1e-3 * np.eye(COLUMNS)
    best = np.linalg.solve(H, X.T @ rows.labels / len(X))
    np.testing.assert_allclose(cluster.conductor.model, best, rtol=1e-6)


def test_rounds_wait_for_units_that_are_overdue(with_the_method: Virtual) -> None:
    """One of six slots always takes a minute longer. It is heard in the first round, and in one of
    any four from then on (more often if rounds are rejected), though two arrivals are enough."""
    cluster = with_the_method(scheme="uncoded:r=2,cache=sag", rounds=13, delay=SLOW, seed=1)
    run(cluster)
    slow = slow_slot(seed=1)
    heard = [slow in slots for slots in slots_of(cluster)]
    assert heard[0]
    assert all(any(heard[t : t + 4]) for t in range(10))
    assert sum(heard) <= 5
    for record, slots in zip(cluster.records, slots_of(cluster), strict=True):
        assert record.reason.endswith(WAITED) == (len(slots) > 2)


def test_no_round_waits_for_a_unit_that_cannot_be_heard(with_the_method: Virtual) -> None:
    """One of six workers dies for good after some rounds; rounds close without its slot."""
    cluster = with_the_method(scheme="uncoded:r=2,cache=sag", rounds=30, delay=SLOW, seed=1)
    victim = slow_slot(seed=1)
    cluster.clock.at(62.0, lambda: cluster.depart(list(cluster.workers.values())[victim]))
    run(cluster)
    assert all(victim not in slots for slots in slots_of(cluster)[1:])
    assert len(cluster.records) == 30


def test_it_needs_an_estimate_that_sums_what_it_remembers(with_the_method: Virtual) -> None:
    for scheme in ("uncoded", "uncoded:r=2,cache=saga"):
        with pytest.raises(UsageError, match=r"optimizer 'anchored:oldest=4' .* scheme 'uncoded"):
            with_the_method(scheme=scheme)
