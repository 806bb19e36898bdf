"""Anchored L-BFGS, from arrivals to the next point, against what a study worked out and a witness
with dense matrices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.optimizing.anchored_lbfgs import AnchoredLbfgs
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.guard import CurvatureGuard, Verdict
from erasurehead.optimizing.pairs import Digits
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.step_cap import StepCap
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.missing import GONE_AFTER
from tests.support.dense_anchored import DenseAnchored
from tests.support.played_units import PlayedUnits, same, some_units

NEVER_DUE = 1000
ROWS = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
LABELS = np.array([1.0, 2.0, 2.0])


def three_units(first_step: float = 1.0) -> tuple[PlayedUnits, AnchoredLbfgs]:
    """Return the study's example: a row a unit, l2 = 0.1."""
    make = partial(AnchoredLbfgs, first_step=first_step, age=NEVER_DUE)
    three = PlayedUnits(ROWS, LABELS, make, 3, 0.1)
    assert isinstance(three.method, AnchoredLbfgs)
    return three, three.method


def plain_gradient(method: AnchoredLbfgs) -> FloatArray:
    """Return g, which the method keeps in metric coordinates."""
    return np.asarray(method.state()["gradient"] * method.steps.metric.root)


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


def test_the_table_of_worked_numbers() -> None:
    three, method = three_units()
    metric = method.steps.metric
    np.testing.assert_allclose(metric.root**2, [0.875595035771, 1.329160135825], rtol=1e-11)
    assert metric.largest == pytest.approx(1.485656226847, rel=1e-11)
    np.testing.assert_allclose(three.best(), [0.88471849866, 0.965147453083], rtol=1e-10)
    for row in WORKED:
        assert three.value(method.query) == pytest.approx(row.loss, rel=1e-10)
        three.play(*row.heard)
        found = [method.guard.kappa, method.guard.sigma, method.steps.pairs.scale]
        assert found == pytest.approx([row.kappa, row.sigma, row.gamma], rel=1e-10)
        np.testing.assert_allclose(method.state()["mean"], row.mean, rtol=1e-10)
        np.testing.assert_allclose(plain_gradient(method), row.gradient, rtol=1e-9)
        np.testing.assert_allclose(method.query, row.then, rtol=1e-10)


def test_the_table_of_a_rejection() -> None:
    """1. The first step is eight times too long. 2. Two units say so, the round is rejected, and
    pairs are forgotten. 3. From the same mean anchor, the next step is short enough."""
    three, method = three_units(first_step=8.0)
    three.play(0, 1, 2)
    assert method.steps.pairs.scale == pytest.approx(5.384825813289, rel=1e-11)
    np.testing.assert_allclose(method.query, [6.149904457313, 8.102599029493], rtol=1e-10)
    assert three.value(method.query) == pytest.approx(68.245840044788, rel=1e-11)
    three.play(0, 2)
    assert method.guard.kappa == pytest.approx(12.509818473456, rel=1e-10)
    assert method.guard.rejections == 1
    assert method.state()["mean"].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(plain_gradient(method), [-1.0, -2.0], rtol=1e-14)
    np.testing.assert_allclose(method.query, [0.491606210783, 0.647699168992], rtol=1e-10)
    three.play(0, 1)
    assert method.guard.kappa == pytest.approx(10.033311873092, rel=1e-10)
    assert method.guard.sigma == pytest.approx(10.741910355933, rel=1e-10)
    assert method.guard.rejections == 0
    mean, gradient = [0.327737473855, 0.431799445994], [-0.423589055762, -1.577051595476]
    np.testing.assert_allclose(method.state()["mean"], mean, rtol=1e-10)
    np.testing.assert_allclose(plain_gradient(method), gradient, rtol=1e-10)
    assert method.steps.pairs.scale == pytest.approx(0.722783487785, rel=1e-10)
    np.testing.assert_allclose(method.query, [0.350856436773, 0.580733692105], rtol=1e-10)


def short_rounds(n_units: int, n_rounds: int, seed: int = 0) -> Iterator[list[int]]:
    """Yield which units arrive: all of them first, then one to three."""
    rng = np.random.default_rng((seed, 0xA11))
    yield list(range(n_units))
    for _ in range(n_rounds - 1):
        yield rng.permutation(n_units)[: rng.integers(1, 4)].tolist()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("on_supports", [False, True])
def test_it_is_what_dense_matrices_make_of_it(seed: int, on_supports: bool) -> None:
    """As long as no pair is too old: the witness keeps all."""
    ours = some_units(partial(AnchoredLbfgs, age=NEVER_DUE), seed=seed, on_supports=on_supports)
    dense = some_units(DenseAnchored, seed=seed)
    for units in short_rounds(8, 12, seed):
        ours.play(*units)
        dense.play(*units)
        np.testing.assert_allclose(ours.method.query, dense.method.query, rtol=1e-7, atol=1e-9)


def test_when_all_arrive_it_is_l_bfgs() -> None:
    """By two loops, in the metric, as long as no step is divided."""
    played = some_units(partial(AnchoredLbfgs, first_step=0.6), n_parameters=6, l2=0.1)
    method = played.method
    assert isinstance(method, AnchoredLbfgs)
    H = played.rows.T @ played.rows / len(played.rows) + 0.1 * np.eye(6)
    D, x = method.steps.metric.root**2, np.zeros(6)
    pairs: list[tuple[FloatArray, FloatArray]] = []
    gamma = method.steps.pairs.first_scale
    for _ in range(8):
        np.testing.assert_allclose(method.query, x, rtol=1e-9, atol=1e-12)
        g = H @ (x - played.best())
        q, alphas = g.copy(), []
        for s, y in reversed(pairs):
            alphas.append((s @ q) / (s @ y))
            q -= alphas[-1] * y
        q *= gamma / D
        for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
            q += (alpha - (y @ q) / (s @ y)) * s
        pairs.append((-q, -H @ q))
        gamma = float((q @ H @ q) / ((H @ q) @ ((H @ q) / D)))
        x = x - q
        played.play(*range(8))
        assert method.guard.sigma == 1.0
    assert played.value(x) - played.value(played.best()) < 1e-6


@pytest.mark.parametrize("digits", ["f8", "f4"])
@pytest.mark.parametrize("knows_units", [False, True])
@pytest.mark.parametrize("units_a_round", [1.0, 2.0, 7.0])
def test_it_converges_in_short_rounds(
    units_a_round: float, knows_units: bool, digits: Digits
) -> None:
    """To a gap of 1e-10 in a few hundred rounds, of one unit to nearly all."""
    make = partial(AnchoredLbfgs, digits=digits)
    played = some_units(
        make, units_a_round=units_a_round, on_supports=True, knows_units=knows_units
    )
    rng = np.random.default_rng(1)
    gap, n_rounds = np.inf, 0
    while gap > 1e-10 and n_rounds < 500:
        played.play_on(*rng.permutation(8)[: int(units_a_round)].tolist())
        gap = played.value(played.method.model) - played.value(played.best())
        n_rounds += 1
    assert gap <= 1e-10


def test_the_order_of_arrival_changes_rounding_alone() -> None:
    one, other = (some_units(partial(AnchoredLbfgs, age=NEVER_DUE)) for _ in range(2))
    for units in short_rounds(8, 12):
        one.play(*units)
        other.play(*reversed(units))
        np.testing.assert_allclose(one.method.query, other.method.query, rtol=1e-8, atol=1e-11)


def test_a_rejected_round_leaves_everything() -> None:
    """The mean anchor, its gradient, what is remembered, and where."""
    played = some_units(partial(AnchoredLbfgs, first_step=30.0, age=NEVER_DUE))
    assert isinstance(played.method, AnchoredLbfgs)
    played.play(*range(8))
    kept = ("mean", "gradient", "heard", "renewed")
    before = played.state("estimate", "anchors")
    mine = {key: played.method.state()[key].copy() for key in kept}
    played.play(2, 5)
    assert played.method.guard.rejections == 1
    assert same(played.state("estimate", "anchors"), before)
    assert same({key: played.method.state()[key] for key in kept}, mine)
    assert len(played.descent.begin()) == 0


ROUNDS = 14


@pytest.mark.parametrize("digits", ["f8", "f4"])
def test_it_resumes_between_any_two_rounds_to_the_last_bit(digits: Digits) -> None:
    """Through rejections, a unit that is lost and comes back, and more pairs than are kept."""
    make = partial(AnchoredLbfgs, first_step=30.0, pairs=4, age=4, digits=digits)

    def fresh() -> PlayedUnits:
        return some_units(make, n_parameters=300, seed=3, on_supports=True, knows_units=True)

    heard = [*short_rounds(8, ROUNDS)]
    for units in heard[3:9]:
        if 7 in units:
            units.remove(7)
            units.append(6)
    heard = [list(dict.fromkeys(units)) for units in heard]
    whole = fresh()
    states = []
    for units in heard:
        whole.play(*units)
        states.append(whole.descent.state())
    before = fresh()
    for at in range(1, ROUNDS):
        before.play(*heard[at - 1])
        resumed = fresh()
        resumed.resume(before)
        for units, state in zip(heard[at:], states[at:], strict=True):
            resumed.play(*units)
            assert same(resumed.descent.state(), state)


def test_a_checkpoint_of_an_earlier_version_does_not_hold_the_gradient_of_the_loss() -> None:
    """What it is needed for, a resumed run does in another way once."""
    whole, resumed = (some_units(partial(AnchoredLbfgs, age=NEVER_DUE)) for _ in range(2))
    heard = [*short_rounds(8, 12)]
    for units in heard[:6]:
        whole.play(*units)
    state = whole.descent.state()
    del state["optimizer/of_loss"]
    resumed.descent.load_state(Snapshot(6, "run", RunTimes(), state).part, same_code=True)
    for units in heard[6:]:
        whole.play(*units)
        resumed.play(*units)
        np.testing.assert_allclose(resumed.method.query, whole.method.query, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("on_supports", [False, True])
def test_looking_ahead_changes_no_bit(on_supports: bool) -> None:
    """To all units, to some, or to none, as time allows; nor does taking in what has arrived
    before more arrives."""
    rng = np.random.default_rng(0)
    make = partial(AnchoredLbfgs, age=4)
    calm, busy = (some_units(make, n_parameters=300, on_supports=on_supports) for _ in range(2))
    for units in short_rounds(8, 20):
        due = [unit for slots in calm.descent.begin() for unit in slots]
        here = list(dict.fromkeys([*units, *due]))
        calm.close(*here)
        busy.descent.begin()

        def work(most: int) -> None:
            for _ in range(rng.integers(0, most)):
                if busy.descent.has_work:
                    busy.descent.work()

        work(9)
        busy.close(*here, between=partial(work, 4))
        assert same(busy.descent.state(), calm.descent.state())
        assert not busy.descent.has_work


def due(played: PlayedUnits) -> set[int]:
    """Return the units that the round to come should not close without."""
    return {unit for slots in played.descent.begin() for unit in slots}


def test_units_that_are_old_are_due_and_at_the_start_the_run_s_age_is_that_of_all() -> None:
    played = some_units(partial(AnchoredLbfgs, age=3), units_a_round=3.0)
    for _ in range(2):
        assert due(played) == set()
        played.close(0, 1, 2)
    assert due(played) == {3, 4, 5, 6, 7}
    played.close(3, 4)
    assert due(played) == {5, 6, 7}
    played = some_units(partial(AnchoredLbfgs, age=3))
    for units in (range(8), [0, 1], [1]):
        played.play(*units)
    assert due(played) == {2, 3, 4, 5, 6, 7}


def test_a_start_with_few_units_a_round_waits_for_all() -> None:
    """Of two in eight the gradient leads nowhere in particular."""
    played = some_units(partial(AnchoredLbfgs, age=3), units_a_round=2.0)
    assert due(played) == set(range(8))
    played.close(0, 1, 2)
    assert due(played) == {3, 4, 5, 6, 7}


@pytest.mark.parametrize(
    ("kind", "age"),
    [
        (RoundKind(False, 10, 2.796), 9),
        (RoundKind(False, 10, 10.0), 2),
        (RoundKind(True, 4, 4.0), 2),
        (RoundKind(False, 30, 3.0), 25),
    ],
)
def test_the_age_follows_from_how_many_units_a_round_renews(kind: RoundKind, age: int) -> None:
    played = some_units(AnchoredLbfgs)
    assert isinstance(played.method, AnchoredLbfgs)
    played.method.forget_units(kind)
    assert played.method.oldest == age


def test_a_unit_that_is_due_and_does_not_come_is_taken_out_until_it_comes() -> None:
    """1. Unit 5 is not heard for three rounds, and is due. 2. The round closes without it: nobody
    can send it. 3. Mean anchor and gradient are those of the others, which stand for all, and pairs
    are forgotten. 4. The run goes on to the minimum of the others. 5. The unit is back, and the run
    goes on to the minimum of all."""
    played = some_units(partial(AnchoredLbfgs, age=3), l2=0.1)
    method, others = played.method, [0, 1, 2, 3, 4, 6, 7]
    assert isinstance(method, AnchoredLbfgs)
    played.play(*range(8))
    for _ in range(3):
        played.play(*others)
    assert played.state("estimate")["estimate/rounds"][5] == -1
    at = method.query.copy()
    played.play(*others)
    assert len(method.steps.pairs) == 0
    np.testing.assert_allclose(method.state()["mean"], at, rtol=1e-14)
    held = np.concatenate([played.parts[unit] for unit in others])
    X, y = played.rows[held], played.labels[held]
    expected = X.T @ (X @ at - y) / len(X) + 0.1 * at
    np.testing.assert_allclose(plain_gradient(method), expected, rtol=1e-10)
    known = [played.outcome.decrease is not None]
    for _ in range(60):
        played.play(*others)
        known.append(played.outcome.decrease is not None)
    assert not any(known[: GONE_AFTER - 2])
    assert all(known[GONE_AFTER:])
    assert played.descent.missing == (1, 8)
    assert due(played) == {5}
    np.testing.assert_allclose(method.model, played.best(others), rtol=1e-6)
    played.play(*others, 5)
    assert played.descent.missing == (0, 8)
    for _ in range(80):  # steps were as short as rounding, and grow to twice the last
        played.play(*range(8))
    np.testing.assert_allclose(method.model, played.best(), rtol=1e-6)


@pytest.mark.parametrize("knows_units", [False, True])
def test_a_unit_that_is_given_up_may_be_back_in_the_next_round(knows_units: bool) -> None:
    """It was in the mean anchor of the last round, and has no anchor any more."""
    played = some_units(partial(AnchoredLbfgs, age=3), l2=0.1, knows_units=knows_units)
    played.play(*range(8))
    for _ in range(3):
        before = played.method.query.copy()
        played.play(0, 1, 2, 3, 4, 6, 7)
    assert played.state("estimate")["estimate/rounds"][5] == -1
    at = played.method.query.copy()
    played.play(0, 1, 2, 3, 4, 5)
    mean = (6 * at + 2 * before) / 8
    np.testing.assert_allclose(played.method.state()["mean"], mean, rtol=1e-12)
    for _ in range(60):
        played.play(*range(8))
    np.testing.assert_allclose(played.method.model, played.best(), rtol=1e-6)


def test_units_with_other_rows_begin_from_the_same_point_without_pairs() -> None:
    played = some_units(partial(AnchoredLbfgs, age=NEVER_DUE))
    method = played.method
    assert isinstance(method, AnchoredLbfgs)
    for units in short_rounds(8, 6):
        played.play(*units)
    at = method.query.copy()
    assert len(method.steps.pairs) > 0
    method.forget_units(RoundKind(False, 8, 4.0))
    assert method.query.tobytes() == at.tobytes()
    assert len(method.steps.pairs) == 0
    assert method.guard.sigma == 1.0
    assert method.steps.pairs.scale == method.steps.pairs.first_scale
    played.descent.estimate.begin()
    for unit in range(8):
        played.descent.estimate.memory.forget(unit)  # type: ignore[union-attr]
    for _ in range(60):
        played.play(*range(8))
    np.testing.assert_allclose(method.model, played.best(), rtol=1e-7)


def test_rows_and_columns_of_zeros_leave_everything_finite() -> None:
    for rows in (np.zeros((6, 4)), np.diag([1.0, 0.0, 2.0, 0.0, 0.0, 3.0])[:, :4]):
        played = PlayedUnits(rows, np.ones(6), AnchoredLbfgs, 3, l2=0.0)
        for _ in range(20):
            played.play(0, 1, 2)
            played.play(1)
        assert all(np.isfinite(array).all() for array in played.descent.state().values())
        assert not played.method.model[rows.any(axis=0) == 0].any()
        assert played.value(played.method.model) < 0.5 + 1e-12


@pytest.mark.parametrize("spoiled", [-1.0, -30.0, 1e3, 1e8])
def test_one_bad_vector_does_not_poison_the_pairs_for_ever(spoiled: float) -> None:
    """1. A unit's gradient comes times a number, once. 2. What it has made of the pairs is gone
    after as many pairs as are kept, and the run goes on to the minimum."""
    played = some_units(partial(AnchoredLbfgs, age=6), l2=1e-2)
    rounds = [*short_rounds(8, 6), *([sorted({t % 8, (3 * t + 1) % 8}) for t in range(300)])]
    for t, units in enumerate(rounds):
        spoil = (lambda values: spoiled * values) if t == 8 else None
        played.play_on(*units, spoil=spoil)
    gap = played.value(played.method.model) - played.value(played.best())
    assert gap < 1e-8 * played.value(np.zeros(12))


class Unknown:
    """A curvature without a bound."""

    bounded = False
    measured = False

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        raise AssertionError("nobody may ask")

    def by_parameter(self) -> FloatArray:
        raise AssertionError("nobody may ask")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_without_a_bound_of_the_curvature_it_begins_carefully(scale: float) -> None:
    """No metric, and a first step no longer than 1 or the gradient; the guard does the rest."""

    def make(problem: Problem) -> AnchoredLbfgs:
        return AnchoredLbfgs(Problem(problem.start, problem.penalty, Unknown(), problem.rounds))

    few = some_units(make, l2=1e-2)
    played = PlayedUnits(scale * few.rows, scale * few.labels, make, 8, scale**2 * few.l2)
    played.play(*range(8))
    first = played.method.query.copy()
    assert 0 < np.abs(first).sum() <= 1 + 1e-12
    for _ in range(80):
        played.play(*range(8))
    gap = played.value(played.method.model) - played.value(played.best())
    assert gap < 1e-6 * played.value(np.zeros(12))


def test_steps_grow_to_twice_the_longest_of_the_last_that_held() -> None:
    cap = StepCap(2.0)
    assert cap.share(1.0) == 1.0
    assert cap.share(100.0) == pytest.approx(0.02)
    assert cap.share(3.9) == 1.0
    cap.amend(0.5)
    for _ in range(9):
        assert cap.share(0.001) == 1.0
    assert cap.share(64.0) == pytest.approx(2 * 3.9 / 64.0)
    cap.amend(7.8)
    assert cap.share(64.0) == pytest.approx(2.0 / 64.0)
    for _ in range(10):
        cap.share(0.0)
    assert cap.share(5.0) == 1.0
    resumed = StepCap(2.0)
    resumed.load_state(cap.state())
    assert resumed.share(21.0) == cap.share(21.0) < 1.0


def test_no_step_leaps() -> None:
    """Without a metric, a penalty, or a unit that is waited for."""
    played = some_units(partial(AnchoredLbfgs, age=NEVER_DUE, power=0.0), l2=1e-9)
    before = played.method.query.copy()
    lengths = []
    for units in short_rounds(8, 60):
        played.play(*units)
        lengths.append(np.linalg.norm(played.method.query - before))
        before = played.method.query.copy()
    moved = np.array(lengths)
    # A step goes from the mean anchor, which is not the last point.
    assert all(moved[t] <= 10 * moved[max(0, t - 10) : t].max() for t in range(1, 60))


def test_a_guard_follows_what_it_is_told() -> None:
    guard = CurvatureGuard()
    assert guard.judge(0.5, 3) is Verdict.TRUSTED
    assert guard.sigma == 1.0
    assert guard.judge(2.0, 1) is Verdict.TRUSTED
    assert guard.sigma == 2.0
    assert guard.judge(1.0, 2) is Verdict.TRUSTED
    assert guard.sigma == pytest.approx(1 + 0.92**2)
    assert guard.judge(8.0, 2) is Verdict.REJECTED
    assert guard.sigma == 8.0
    assert guard.judge(81.0, 2) is Verdict.BLAMED
    assert guard.judge(1e9, 2) is Verdict.BLAMED
    assert guard.sigma == 100.0
    assert [guard.judge(1e9, 1) for _ in range(3)][:2] == [Verdict.BLAMED] * 2
    assert guard.rejections == 0
    assert guard.judge(np.nan, 1) is Verdict.TRUSTED
    assert np.isfinite(guard.sigma)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"pairs": 0}, "pairs=0 of an optimizer must be from 1 to 100"),
        ({"age": 0}, "age=0 of an optimizer must be at least 1 round"),
        ({"power": 1.5}, "power=1.5 of an optimizer's metric must be from 0 to 1"),
        ({"first_step": 0.0}, "first_step=0 of an optimizer must be positive"),
    ],
)
def test_what_is_out_of_range_is_one_sentence(options: dict[str, float], sentence: str) -> None:
    quadratic = some_units(AnchoredLbfgs)
    problem = Problem(np.zeros(12), L2(0.0), Unknown())
    assert quadratic.method is not None
    with pytest.raises(UsageError, match=sentence):
        AnchoredLbfgs(problem, **options)  # type: ignore[arg-type]
