"""The papers' bounds hold for runs of the real decoders, and say what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext
from erasurehead.errors import UsageError
from erasurehead.theory.convergence import (
    cached_rounds,
    fixed_weights_bound,
    followed_rounds,
    repetition_bounds,
    simple_bounds,
    svrg_contraction,
    times_to_target,
)
from erasurehead.theory.decode_errors import replication_bounds
from erasurehead.theory.moments import (
    either_uncovered_probability,
    second_moment_bound,
    unbiased_error,
    uncovered_bounds,
    uncovered_probability,
)


def test_lemma_4_and_5_bound_lemma_2_and_3() -> None:
    for k, n, c, r in ((30, 30, 3, 11), (12, 6, 2, 3), (20, 40, 4, 7)):
        p = float(uncovered_probability(k, k * c // n, r))
        middle, loose = uncovered_bounds(k, n, c, r)
        assert p <= middle <= loose
    assert uncovered_bounds(30, 30, 3, 11)[1] == pytest.approx(0.3329, abs=5e-5)
    # Unit-norm task gradients all alike: ||g[b]||^2 = c^2 is the worst case of Lemma 4.
    q = either_uncovered_probability(30, 3, 11)
    p = float(uncovered_probability(30, 3, 11))
    assert second_moment_bound(1.0, 1.0, 30, 30, 3, 11) == pytest.approx(1 - q + (q - p) / 10)


def test_unbiased_error_by_simulation() -> None:
    code = CODES.build("frc:c=2", 8, None, np.random.default_rng(0))
    decoder = DECODERS.build("first-copy:scale=unbiased", code, DecoderContext(3))
    rng = np.random.default_rng(1)
    blocks = rng.normal(size=(4, 3))
    g = blocks.sum(axis=0)
    found = []
    for _ in range(4000):
        decoder.begin()
        for slot in rng.permutation(8)[:3].tolist():
            decoder.arrive(slot)
        # All tasks of a block share its weight; give the first task the whole block sum.
        weights = decoder.finish().task_weights[::2]
        found.append(float(np.sum((weights @ blocks - g) ** 2)))
    slack = 5 * float(np.std(found)) / math.sqrt(len(found))
    assert unbiased_error(blocks, 8, 3) == pytest.approx(np.mean(found), abs=slack)


def run_quadratic(step: float, rounds: int, r: int, seed: int) -> FloatArray:
    """f(x) = (1/2n) sum_j ||x - a_j||^2 with first-copy decoding; f - f* after each round."""
    rng = np.random.default_rng(seed)
    code = CODES.build("frc:c=3", 30, None, rng)
    decoder = DECODERS.build("first-copy:scale=none", code, DecoderContext())
    centres = np.random.default_rng(7).uniform(-0.5, 0.5, size=30)
    x, gaps = 1.0, []
    for _ in range(rounds):
        decoder.begin()
        for slot in rng.permutation(30)[:r].tolist():
            decoder.arrive(slot)
        x -= step * float(decoder.finish().task_weights @ (x - centres)) / 30
        gaps.append((x - centres.mean()) ** 2 / 2)
    return np.array(gaps)


def test_theorem_1_bounds_a_real_run() -> None:
    """beta = mu = 1, |x - a_j| <= 1.5 along the path: mean gap below both bounds, always."""
    rounds, start = 25, (1.0 - np.random.default_rng(7).uniform(-0.5, 0.5, size=30).mean()) ** 2 / 2
    for bound in repetition_bounds(1.0, 1.0, 1.5, 30, 30, 3, 11):
        gaps = np.mean([run_quadratic(bound.step, rounds, 11, seed) for seed in range(40)], axis=0)
        for done, gap in enumerate(gaps, start=1):
            assert gap <= bound.after(done, float(start))


def test_theorem_2_is_looser_than_theorem_1() -> None:
    """Whenever c >= n ln 2 / r."""
    for n, c, r in ((30, 3, 11), (30, 5, 20), (100, 10, 30)):
        assert c >= n * math.log(2) / r
        for tight, loose in zip(
            repetition_bounds(2.0, 0.1, 1.0, n, n, c, r),
            simple_bounds(2.0, 0.1, 1.0, n, c, r),
            strict=True,
        ):
            assert tight.floor <= loose.floor * (1 + 1e-9)
            assert tight.contraction <= loose.contraction + 1e-12


def test_theorem_3_orders_the_schemes() -> None:
    """Many workers, two copies, half of the arrivals: approximate beats exact beats uncoded."""
    times = times_to_target(kappa=0.1, start=1.0, target=1e-3, n=10**6, c=2, delta=0.5)
    assert times.approximate < times.exact < times.uncoded


def test_svrg_contraction() -> None:
    """V = 0 is gradient descent with 1/(mu eta m)/(1 - eta L); V = .0333 at c = 3, r = 11."""
    assert svrg_contraction(0.1, 1.0, 0.5, 100, 0.0) == pytest.approx((1 / 5) / 0.5)
    p = float(uncovered_probability(30, 3, 11))
    q = either_uncovered_probability(30, 3, 11)
    variance = (q - p) * 3 / ((1 - p) ** 2 * 30)
    assert variance == pytest.approx(0.0333, abs=5e-5)
    assert svrg_contraction(0.1, 1.0, 0.2, 500, variance) < 0.2


def test_noise_floor_of_fixed_weights() -> None:
    bound = fixed_weights_bound(2.0, 0.5, 0.25, 0.08)
    assert (bound.contraction, bound.floor) == pytest.approx((0.875, 0.04))


def test_replication_bounds() -> None:
    """d = 3: p^3/(1-p^3) for any decoder; .037, .083, .143 for fixed weights."""
    for p, fixed in ((0.1, 0.037), (0.2, 0.083), (0.3, 0.143)):
        assert replication_bounds(p, 3)[0] == pytest.approx(p**3 / (1 - p**3))
        assert replication_bounds(p, 3)[1] == pytest.approx(fixed, abs=5e-4)


@pytest.mark.parametrize("phi", [0.03, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("condition", [3.0, 30.0, 1000.0])
def test_mean_of_cached_decoding_by_eigenvalues(phi: float, condition: float) -> None:
    """h <- (1-phi) h + phi lambda x, x <- x - eta h for curvatures between 1/condition and 1: the
    slowest mode is the slower of 1 - phi and of exact descent, or up to twice as quick at the
    corner, where stale sums give flat directions momentum."""
    slowest = 0.0
    for curvature in np.geomspace(1 / condition, 1.0, 200):
        mean = np.array([[1 - phi, phi * curvature], [phi - 1, 1 - phi * curvature]])
        slowest = max(slowest, float(np.abs(np.linalg.eigvals(mean)).max()) ** 2)
    contraction = -2 * math.log(1 - 1 / condition)
    expected = min(contraction, -math.log(1 - phi))
    assert 0.999 * expected <= -math.log(slowest) <= 2 * expected
    if min(contraction, phi) < 0.1 * max(contraction, phi):
        assert -math.log(slowest) == pytest.approx(expected, rel=0.12)


def test_cached_rounds() -> None:
    """All renewed: as exact. Few renewed: as long as the rate -ln(1-phi) takes."""
    assert cached_rounds(np.ones(1), 0.2).tolist() == [1.0]
    assert np.isinf(cached_rounds(np.zeros(1), 0.2)).all()
    few = cached_rounds(np.array([0.01]), 0.5)
    assert few[0] == pytest.approx(0.5 / -math.log(0.99), rel=1e-3)
    shares = np.linspace(0.01, 1, 50)
    assert np.all(np.diff(cached_rounds(shares, 0.3)) <= 0)


def test_followed_rounds() -> None:
    assert followed_rounds(np.ones(1)).tolist() == [1.0]
    assert np.isinf(followed_rounds(np.zeros(1))).all()
    assert np.all(np.diff(followed_rounds(np.linspace(0.01, 1, 50))) < 0)


def test_theorems_at_the_edges() -> None:
    """c = n: one group, which nothing erases, so there is no floor. The impossible is refused."""
    for bound in repetition_bounds(2.0, 0.1, 1.0, 12, 12, 12, 4):
        assert bound.floor == 0.0
        assert bound.contraction == pytest.approx(1 - 0.1 / 2.0)
    assert second_moment_bound(2.0, 9.0, 12, 12, 12, 4) == pytest.approx(4.0)
    with pytest.raises(UsageError, match=r"c=5 of 12 tasks"):
        repetition_bounds(2.0, 0.1, 1.0, 12, 12, 5, 4)
    for kappa, target, delta in ((1.0, 1e-3, 0.5), (0.1, 1e-3, 1.0), (0.1, 2.0, 0.5)):
        with pytest.raises(UsageError, match="give no time"):
            times_to_target(kappa, start=1.0, target=target, n=30, c=3, delta=delta)
    assert svrg_contraction(0.1, 1.0, 1.0, 100, 0.1) == math.inf
