"""Online straggler probabilities against the Beta posterior and against known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from erasurehead.errors import DataError, UsageError
from erasurehead.probabilities import LEAST_PROBABILITY
from erasurehead.straggling.estimate import StragglerEstimate


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("forgetting", [0.98, 0.95, 1.0])
def test_weights_are_right_on_average(p: float, forgetting: float) -> None:
    """1/(1-p) within 2.5 % in the mean of 2,000 slots and 100 rounds late in the run, although the
    prior says 1/2 and some twenty rounds are remembered at the least."""
    estimate = StragglerEstimate(2000, forgetting=forgetting)
    rng = np.random.default_rng(1)
    found = []
    for number in range(200):
        estimate.observe(rng.random(2000) >= p)
        if number >= 100:
            found.append(estimate.weights.mean())
    assert np.mean(found) * (1 - p) == pytest.approx(1.0, abs=0.025)


@given(st.lists(st.booleans(), max_size=40), st.floats(0.1, 5), st.floats(0.1, 5))
def test_without_forgetting_it_is_the_posterior_mean(
    history: list[bool], a: float, b: float
) -> None:
    estimate = StragglerEstimate(1, prior=(a, b), forgetting=1.0)
    for arrived in history:
        estimate.observe(np.array([arrived]))
    posterior = stats.beta(a + history.count(False), b + history.count(True))
    assert estimate.probabilities[0] == pytest.approx(posterior.mean())


@given(st.lists(st.booleans(), max_size=40), st.floats(0.5, 1))
def test_old_rounds_weigh_less(history: list[bool], forgetting: float) -> None:
    """Against the weighted counts written out."""
    estimate = StragglerEstimate(1, forgetting=forgetting)
    for arrived in history:
        estimate.observe(np.array([arrived]))
    weights = forgetting ** np.arange(len(history))[::-1]
    missed = float(weights @ ~np.array(history, dtype=bool)) if history else 0.0
    expected = (1 + missed) / (2 + weights.sum())
    assert estimate.probabilities[0] == pytest.approx(expected)


def test_what_all_slots_have_in_common_is_the_posterior_mean_of_their_mean_counts() -> None:
    estimate = StragglerEstimate(4, prior=(2.0, 3.0), forgetting=1.0)
    assert estimate.common == pytest.approx(2 / 5)
    for n_late in (1, 2, 0):
        estimate.observe(np.arange(4) >= n_late)
    assert estimate.common == pytest.approx((2.0 + 3 / 4) / (5.0 + 3.0))
    certain = StragglerEstimate(1, prior=(1e-9, 1.0))
    assert certain.common == LEAST_PROBABILITY


def test_it_finds_each_slots_probability() -> None:
    """2,000 rounds: the posterior's standard deviation is at most 1.2 %."""
    rng = np.random.default_rng(0)
    p = np.linspace(0.05, 0.95, 10)
    estimate = StragglerEstimate(10, forgetting=1.0)
    for _ in range(2000):
        estimate.observe(rng.random(10) >= p)
    np.testing.assert_allclose(estimate.probabilities, p, atol=0.04)


def test_it_follows_a_slot_that_dies_and_returns() -> None:
    estimate = StragglerEstimate(2, forgetting=0.9)
    for arrived, expected in ((True, 0.1), (False, 0.9), (True, 0.1)):
        for _ in range(60):
            estimate.observe(np.array([arrived, True]))
        assert estimate.probabilities[0] == pytest.approx(expected, abs=0.03)
    assert estimate.probabilities[1] < 0.1


def test_a_dead_slot_never_reaches_certainty() -> None:
    """Weights 1/(1-p) must stay finite."""
    estimate = StragglerEstimate(2, prior=(1e-9, 1e-9), forgetting=1.0)
    for _ in range(10):
        estimate.observe(np.array([False, True]))
    assert estimate.probabilities.tolist() == [1 - LEAST_PROBABILITY, LEAST_PROBABILITY]


def test_before_any_round_it_is_the_prior() -> None:
    np.testing.assert_allclose(StragglerEstimate(3, prior=(1, 3)).probabilities, 0.25)


def test_a_restored_estimate_goes_on_bit_for_bit() -> None:
    rng = np.random.default_rng(1)
    one, two = StragglerEstimate(5), StragglerEstimate(5)
    for _ in range(10):
        one.observe(rng.random(5) < 0.5)
    two.load_state(one.state())
    saved = one.state()["missed"]
    arrived = rng.random(5) < 0.5
    one.observe(arrived)
    two.observe(arrived)
    assert one.probabilities.tobytes() == two.probabilities.tobytes()
    assert not np.array_equal(saved, one.state()["missed"])


def test_what_an_estimate_said_before_has_chance_in_it() -> None:
    """Slots that stay as they are do not seem to move, however long ago that was, and after a
    restart in between."""
    for rounds_ago in (25, 100, 400):
        for seed in range(10):
            rng = np.random.default_rng(seed)
            p, estimate = rng.uniform(0.1, 0.9, 100), StragglerEstimate(100)
            for _ in range(200):
                estimate.observe(rng.random(100) > p)
            known = estimate.probabilities
            goes_on = StragglerEstimate(100)
            goes_on.load_state(estimate.state())
            for _ in range(rounds_ago):
                goes_on.observe(rng.random(100) > p)
            assert not goes_on.has_moved_from(known, rounds_ago)


@pytest.mark.parametrize("p", [0.1, 0.37, 0.63])
@pytest.mark.parametrize("n_workers", [12, 30, 300])
def test_chance_alone_seldom_moves_an_estimate(p: float, n_workers: int) -> None:
    """Asked every 25 rounds, against what was known at the time before; alike from the start."""
    rng = np.random.default_rng(0)
    moved = asked = 0
    for _ in range(40):
        estimate = StragglerEstimate(n_workers, prior=(2 * p, 2 * (1 - p)))
        known = estimate.probabilities
        for round_ in range(1, 151):
            estimate.observe(rng.random(n_workers) >= p)
            if round_ % 25 == 0:
                asked += 1
                if estimate.has_moved_from(known):
                    moved += 1
                    known = estimate.probabilities
    assert moved <= 0.05 * asked


def test_some_lasting_stragglers_move_it() -> None:
    rng = np.random.default_rng(0)
    estimate = StragglerEstimate(30, prior=(1.26, 0.74))
    known = estimate.probabilities
    for _ in range(25):
        arrived = np.zeros(30, dtype=bool)
        arrived[rng.permutation(24)[:11]] = True  # the last six never come in time
        estimate.observe(arrived)
    assert estimate.has_moved_from(known)
    assert not estimate.has_moved_from(estimate.probabilities)


def test_a_state_of_other_workers_is_refused() -> None:
    with pytest.raises(DataError, match="number of workers"):
        StragglerEstimate(3).load_state(StragglerEstimate(4).state())
    with pytest.raises(DataError, match="'missed'"):
        StragglerEstimate(3).load_state({})


@pytest.mark.parametrize(
    ("prior", "forgetting", "sentence"),
    [
        ((0.0, 1.0), 1.0, "two positive numbers"),
        ((1.0, float("nan")), 1.0, "two positive numbers"),
        ((1.0, 1.0), 0.0, "forgetting=0"),
        ((1.0, 1.0), 1.1, "forgetting=1.1"),
    ],
)
def test_bad_options_are_one_sentence(
    prior: tuple[float, float], forgetting: float, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        StragglerEstimate(3, prior=prior, forgetting=forgetting)
