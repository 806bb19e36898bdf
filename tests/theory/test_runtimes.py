"""Order statistics and expected times of a round, by Monte Carlo and worked values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.theory import order_statistics, runtimes
from erasurehead.theory.loads import harmonic, least_exact_load, random_straggler_load
from erasurehead.theory.moments import covered_probability

TRIALS = 40_000


def mean_of(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Mean, and five times its standard error."""
    return float(samples.mean()), 5 * float(samples.std()) / math.sqrt(len(samples))


@pytest.mark.parametrize("r", [1, 11, 20, 30])
def test_order_statistics_by_monte_carlo(r: int) -> None:
    rng = np.random.default_rng(r)
    draws = np.sort(rng.exponential(size=(TRIALS, 30)), axis=1)[:, r - 1]
    mean, slack = mean_of(0.5 * draws)
    assert order_statistics.exponential(30, r, 0.5) == pytest.approx(mean, abs=slack)
    mean, slack = mean_of(0.1 * (1 + draws / 0.5))
    assert order_statistics.shifted_exponential(30, r, 0.1, 0.5) == pytest.approx(mean, abs=slack)
    if r < 30:
        draws = np.sort(2.0 * (1 + rng.pareto(1.5, size=(TRIALS, 30))), axis=1)[:, r - 1]
        mean, slack = mean_of(draws)
        assert order_statistics.pareto(30, r, 1.5, 2.0) == pytest.approx(mean, abs=slack)


def test_pareto_worked_values() -> None:
    assert order_statistics.pareto(30, 11, 1.5, 1.0) == pytest.approx(1.353, abs=5e-4)
    assert order_statistics.pareto(30, 20, 1.5, 1.0) == pytest.approx(2.065, abs=5e-4)
    assert order_statistics.pareto(30, 30, 0.9, 1.0) == math.inf
    exact = {1: 0.865, 2: 0.224, 3: 0.200, 5: 0.234}
    for c, expected in exact.items():
        time = c / 30 * runtimes.repetition_time_pareto(30, c, 1.5, 1.0)
        assert time == pytest.approx(expected, abs=1e-3)
    for c, expected in {1: 0.045, 2: 0.090, 3: 0.135, 5: 0.226}.items():
        time = c / 30 * order_statistics.pareto(30, 11, 1.5, 1.0)
        assert time == pytest.approx(expected, abs=6e-4)


def test_lemma_8_and_its_erratum() -> None:
    """n = k = 30, rate .5, c = 3: the exact formula is what Monte Carlo gives, not the printed."""
    assert runtimes.exact_time(30, 3, 0.5) == pytest.approx(0.2953, abs=5e-5)
    assert runtimes.printed_exact_time(30, 3, 0.5) == pytest.approx(0.2441, abs=5e-5)
    assert runtimes.arrivals_time(30, 3, 11, 0.5) == pytest.approx(0.1894, abs=5e-5)
    assert runtimes.uncoded_time(30, 0.5) == pytest.approx(0.2997, abs=5e-5)
    rng = np.random.default_rng(0)
    times = 0.1 * (1 + rng.exponential(2.0, size=(TRIALS, 10, 3))).min(axis=2).max(axis=1)
    mean, slack = mean_of(times)
    assert runtimes.exact_time(30, 3, 0.5) == pytest.approx(mean, abs=slack)
    slowest = (1 + rng.exponential(2.0, size=(TRIALS, 30))).max(axis=1) / 30
    mean, slack = mean_of(slowest)
    assert runtimes.uncoded_time(30, 0.5) == pytest.approx(mean, abs=slack)


def test_two_copies_gain_little_at_this_delay() -> None:
    """n = 30, rate .5: .288 with c = 2, the best c, against .300 uncoded."""
    times = {c: runtimes.exact_time(30, c, 0.5) for c in (1, 2, 3, 5, 6, 10)}
    assert min(times, key=lambda c: times[c]) == 2
    assert times[2] == pytest.approx(0.288, abs=5e-4)
    assert times[1] == pytest.approx(0.300, abs=5e-4)


def test_which_delays_give_a_slowest_worker_of_eight_medians() -> None:
    """148 workers: E max / median of shifted exponential times is 5.1, 3.9, 2.8 at rates .5, 1, 2
    and never above 8.05; a Pareto of index 2.54 has 8."""
    for rate, expected in ((0.5, 5.1), (1.0, 3.9), (2.0, 2.8), (1e-9, 8.05)):
        slowest = order_statistics.shifted_exponential(148, 148, 1.0, rate)
        assert slowest / (1 + math.log(2) / rate) == pytest.approx(expected, abs=0.05)
    slowest = order_statistics.pareto(148, 148, 2.54, 1.0)
    assert slowest / 2 ** (1 / 2.54) == pytest.approx(8.0, abs=0.05)


@pytest.mark.parametrize(
    ("r", "stopped", "counted", "exact"), [(15, 0.2324, 0.2356, 0.218), (20, 0.2764, 0.3138, 0.718)]
)
def test_erasurehead_round_by_monte_carlo(
    r: int, stopped: float, counted: float, exact: float
) -> None:
    """c = 3: min(r-th arrival, coverage) in time, and how often it is exact."""
    rng = np.random.default_rng(r)
    times = 0.1 * (1 + rng.exponential(2.0, size=(TRIALS, 10, 3)))
    coverage = times.min(axis=2).max(axis=1)
    rth = np.sort(times.reshape(TRIALS, 30), axis=1)[:, r - 1]
    expected = runtimes.erasurehead_time(
        30, 3, r, lambda m: order_statistics.shifted_exponential(30, m, 0.1, 0.5)
    )
    mean, slack = mean_of(np.minimum(rth, coverage))
    assert expected == pytest.approx(mean, abs=slack)
    assert expected == pytest.approx(stopped, abs=5e-4)
    assert runtimes.arrivals_time(30, 3, r, 0.5) == pytest.approx(counted, abs=1e-3)
    assert covered_probability(30, 3, r) == pytest.approx(np.mean(coverage <= rth), abs=0.01)
    assert covered_probability(30, 3, r) == pytest.approx(exact, abs=3e-3)


def test_a_cyclic_code_waits_for_the_fastest_k_minus_s() -> None:
    rng = np.random.default_rng(1)
    draws = np.sort(1 + rng.exponential(2.0, size=(TRIALS, 12)), axis=1)[:, 9] * 3 / 12
    mean, slack = mean_of(draws)
    assert runtimes.cyclic_time(12, 2, 0.5) == pytest.approx(mean, abs=slack)


def test_loads() -> None:
    assert least_exact_load(30, 30, 2) == 3
    assert least_exact_load(12, 48, 2) == 12
    # Any 10 of 30 may be late at random: repetition needs about 3.1 copies to be exact, fewer for
    # an error of 5 %.
    assert random_straggler_load(30, 10) == pytest.approx(math.log(30) / math.log(3))
    assert random_straggler_load(30, 10, 0.05) < random_straggler_load(30, 10)
    assert random_straggler_load(30, 0) == 1.0
    assert random_straggler_load(30, 30) == math.inf
    assert harmonic(4) == pytest.approx(25 / 12)


def test_an_arrival_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="no 31-th of 30"):
        order_statistics.exponential(30, 31, 1.0)


def test_exact_times_at_the_edges() -> None:
    """One group of everybody is as quick as its fastest; groups that do not fit are refused."""
    assert runtimes.exact_time(12, 12, 0.5) == pytest.approx(1 + 1 / (0.5 * 12))
    with pytest.raises(UsageError, match="c=4"):
        runtimes.exact_time(30, 4, 0.5)


def test_arrivals_without_a_mean_count_only_where_a_round_may_end_with_them() -> None:
    """Pareto of index 1/2, whose last arrival of six has no mean: never waited for at c = 6."""
    finite = runtimes.erasurehead_time(6, 6, 6, lambda m: order_statistics.pareto(6, m, 0.5, 1.0))
    assert finite == pytest.approx(order_statistics.pareto(6, 1, 0.5, 1.0))
