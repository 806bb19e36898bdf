"""What is remembered from round to round, in checkpoints too."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.errors import DataError
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from tests.support.estimate_rounds import decoding, play_round, step, uncoded_estimate


def test_late_results_count_only_if_newer() -> None:
    """SAG on three slots: a stale result fills a gap, an older one never overwrites a newer."""
    estimate = uncoded_estimate("sag")
    ones = np.ones(4)
    for _ in range(5):
        estimate.begin()
        estimate.fold(CodedVector(0, None, ones), 1.0)
        step(estimate, decoding())
    estimate.begin()
    estimate.late(CodedVector(1, None, 10 * ones), age=2)  # of round 4, never seen before: taken
    estimate.late(CodedVector(1, None, 99 * ones), age=3)  # older than that: ignored
    estimate.late(CodedVector(0, None, 99 * ones), age=1)  # round 5 is known already: ignored
    estimate.fold(CodedVector(2, None, 100 * ones), 1.0)
    estimate.late(CodedVector(2, None, 99 * ones), age=1)  # slot 2 has answered this round: ignored
    gradient, _ = step(estimate, decoding())
    np.testing.assert_allclose(gradient, 111.0)
    estimate.begin()
    estimate.late(
        CodedVector(0, None, 5 * ones), age=1
    )  # of round 6, in which slot 0 was late: taken
    np.testing.assert_allclose(step(estimate, decoding())[0], 115.0)


def test_float32_values_are_kept_as_they_came() -> None:
    estimate = uncoded_estimate("saga", k=1)
    values = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    for _ in range(2):
        estimate.begin()
        estimate.fold(CodedVector(0, None, values), 1.0)
        gradient, _ = step(estimate, decoding())
        np.testing.assert_allclose(gradient, values.astype(np.float64), atol=1e-16)
    assert estimate.state()["values_0"].dtype == np.float32


@pytest.mark.parametrize("weights", ["alike", "unequal"])
@pytest.mark.parametrize("name", ["saga", "sag", "svrg:every=3"])
def test_a_rejected_round_is_not_remembered(name: str, weights: str) -> None:
    """Of six slots some arrive; half of the rounds are rejected, snapshots of svrg too. What is
    remembered stays as it was to the last bit, and later rounds obey the formula."""
    k, parameters = 6, 5
    code = CODES.build("uncoded", k, None, np.random.default_rng(0))
    estimate = ESTIMATES.build(name, code, parameters, False)
    rng = np.random.default_rng(5)
    w = np.ones(k) if weights == "alike" else np.arange(1.0, k + 1)
    known, losses, heard = np.zeros((k, parameters)), np.zeros(k), np.zeros(k, dtype=bool)
    n_rejected = 0
    for number in range(1, 25):
        before = {key: np.array(value) for key, value in estimate.state().items()}
        slots = rng.permutation(k)[: rng.integers(1, k + 1)].tolist()
        news, its_losses = rng.normal(size=(k, parameters)), rng.normal(size=k)
        estimate.begin()
        for slot in slots:
            estimate.fold(CodedVector(slot, None, news[slot], its_losses[slot]), w[slot])
        gradient, loss = estimate.finish(decoding(0.5))
        expected = known.sum(axis=0) + 0.5 * w[slots] @ (news[slots] - known[slots])
        expected_loss = losses.sum() + 0.5 * w[slots] @ (its_losses[slots] - losses[slots])
        renewed, renewed_losses, renewed_heard = known.copy(), losses.copy(), heard.copy()
        renewed[slots], renewed_losses[slots] = news[slots], its_losses[slots]
        renewed_heard[slots] = True
        if name == "sag":
            expected = renewed.sum(axis=0) * k / renewed_heard.sum()
        snapshot = (number - 1) % 3 == 0
        if name.startswith("svrg") and snapshot and len(slots) == k:
            expected, expected_loss = news.sum(axis=0), its_losses.sum()
        np.testing.assert_allclose(gradient, expected, atol=1e-12)
        assert loss == pytest.approx(expected_loss, abs=1e-12)
        if rng.random() < 0.5:
            n_rejected += 1
            estimate.reject()
            after = estimate.state()
            assert after["round"] == number
            for key in set(before) - {"round", "weighed", "weights"}:
                np.testing.assert_array_equal(after[key], before[key])
        else:
            estimate.absorb()
            if not name.startswith("svrg") or snapshot:
                known, losses, heard = renewed, renewed_losses, renewed_heard
    assert 6 < n_rejected < 18


@pytest.mark.parametrize("name", ["saga", "svrg:every=4"])
def test_an_open_round_is_no_part_of_the_state(name: str) -> None:
    """A run that is interrupted in the middle of a round goes on with that round."""
    code = CODES.build("uncoded", 4, None, np.random.default_rng(0))
    rng = np.random.default_rng(3)
    news = rng.normal(size=(20, 4, 5))

    def play(estimate: GradientEstimate, rounds: range) -> list[bytes]:
        gradients = []
        for number in rounds:
            estimate.begin()
            for slot in range(4 if number % 4 == 0 else 2):
                estimate.fold(CodedVector(slot, None, news[number, slot]), 1.0)
            gradients.append(step(estimate, decoding(1.0))[0].tobytes())
        return gradients

    calm, first, second = (ESTIMATES.build(name, code, 5, False) for _ in range(3))
    wanted = play(calm, range(20))
    assert play(first, range(7)) == wanted[:7]
    first.begin()
    first.fold(CodedVector(3, None, np.full(5, 1e6)), 1.0)
    second.load_state({key: np.array(value) for key, value in first.state().items()})
    assert play(second, range(7, 20)) == wanted[7:]


UNEQUAL = "/".join(f"{0.1 + 0.05 * i:.2f}" for i in range(12))


@pytest.mark.parametrize("cache", ["saga", "sag", "svrg:every=3"])
@pytest.mark.parametrize(
    "scheme", ["frc:c=3 / first-copy / fraction:r=5", f"uncoded / fixed:p={UNEQUAL} / fraction:r=9"]
)
def test_a_checkpoint_continues_bit_for_bit(scheme: str, cache: str) -> None:
    """Interrupted after 7 rounds and resumed from state(): the same gradients from then on."""
    coding = Coding.of(parse(f"{scheme} / {cache}"), 12)
    rng = np.random.default_rng(1)
    rounds = [(rng.permutation(12).tolist(), rng.normal(size=(12, 5))) for _ in range(14)]

    def run(
        first: int, state: dict[str, FloatArray] | None
    ) -> tuple[list[bytes], dict[str, FloatArray]]:
        session, estimate = coding.begin(), coding.estimate(5)
        if state is not None:
            estimate.load_state({k: v for k, v in state.items() if not k.startswith("stop_")})
            session.stop.load_state({k[5:]: v for k, v in state.items() if k.startswith("stop_")})
        found = []
        saved: dict[str, FloatArray] = {}
        for number, (order, g) in enumerate(rounds[first:], start=first + 1):
            gradient, loss, _ = play_round(session, estimate, order, g, g[:, 0])
            found.append(gradient.tobytes() + np.float64(loss).tobytes())
            if number == 7:
                saved = {k: v.copy() for k, v in estimate.state().items()}
                saved |= {f"stop_{k}": v for k, v in session.stop.state().items()}
        return found, saved

    whole, saved = run(0, None)
    resumed, _ = run(7, saved)
    assert whole[7:] == resumed


def test_a_checkpoint_of_another_scheme_is_refused() -> None:
    estimate = uncoded_estimate("saga")
    with pytest.raises(DataError, match="5 units of"):
        estimate.load_state(uncoded_estimate("saga", k=5).state())
    with pytest.raises(DataError, match="0 units of"):
        estimate.load_state({})


def test_a_unit_that_is_forgotten_is_as_if_it_had_never_been_heard() -> None:
    """Its share of the sum falls to the others until it is heard again, and in checkpoints too; its
    loss stays, for want of a better guess."""
    estimate = uncoded_estimate("sag")
    assert estimate.memory is not None
    ones = np.ones(4)

    def play(taken: GradientEstimate, *slots: int) -> tuple[float, float]:
        taken.begin()
        for slot in slots:
            values, support = ((slot + 1) * ones[:2], np.array([0, 2]))
            taken.fold(CodedVector(slot, support, values, 10.0 * slot), 1.0)
        gradient, loss = step(taken, decoding())
        assert gradient[1] == 0.0
        return float(gradient[0]), loss

    assert play(estimate, 0, 1, 2) == (6.0, 30.0)
    estimate.memory.forget(2)
    assert estimate.memory.ages == [0, 0, None]
    assert play(estimate, 0) == (4.5, 30.0)
    resumed = uncoded_estimate("sag")
    resumed.load_state({key: np.array(value) for key, value in estimate.state().items()})
    for either in (estimate, resumed):
        assert play(either, 2) == (6.0, 30.0)


def test_the_loss_of_units_that_were_heard_stands_for_all_as_their_gradient_does() -> None:
    """Where the sum of what is remembered is asked for. A unit that is forgotten keeps its loss."""
    estimate = uncoded_estimate("sag")
    estimate.must_sum_memory = True
    assert estimate.memory is not None
    losses = []
    for slots in ([0], [1], [0]):
        estimate.begin()
        for slot in slots:
            estimate.fold(CodedVector(slot, None, np.ones(4), 10.0 * (slot + 1)), 1.0)
        losses.append(step(estimate, decoding())[1])
        if slots == [1]:
            estimate.memory.forget(1)
    assert losses == [30.0, 45.0, 45.0]


def test_sag_sums_what_it_remembers_even_where_arrivals_are_enough() -> None:
    """Three of four slots of a cyclic code decode exactly; sag takes that, unless it must not."""
    coding = Coding.of(parse("cyclic-mds:s=1 / least-squares / fraction:r=3 / sag"), 4)
    rng = np.random.default_rng(0)
    news = rng.normal(size=(2, 4, 5))
    coded = coding.code.matrix.toarray() @ news
    for must_sum in (False, True):
        session, estimate = coding.begin(), coding.estimate(5)
        estimate.must_sum_memory = must_sum
        for number, slots in enumerate([(0, 1, 2, 3), (0, 1, 2)]):
            session.decoder.begin()
            estimate.begin()
            for slot in slots:
                weight = session.decoder.arrive(slot)
                estimate.take(CodedVector(slot, None, coded[number, slot]), weight)
            gradient, _ = step(estimate, session.decoder.finish())
        weights = np.array(estimate.memory.units.weights)  # type: ignore[union-attr]
        remembered = weights @ np.vstack([coded[1, :3], coded[0, 3:]])
        expected = remembered if must_sum else news[1].sum(axis=0)
        np.testing.assert_allclose(gradient, expected, rtol=1e-9)
