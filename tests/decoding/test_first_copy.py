"""First-copy decoding against enumeration of all arrival sets, and the lemmas it must obey."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import Decoder, DecoderContext, Decoding
from erasurehead.errors import UsageError
from erasurehead.theory.moments import (
    covered_distribution,
    either_uncovered_probability,
    first_copy_moments,
    uncovered_probability,
)
from tests.support.grouped import groups_of


def frc(k: int, c: int, n: int | None = None) -> GradientCode:
    return CODES.build(f"frc:c={c}", k, n, np.random.default_rng(5))


def decode(decoder: Decoder, arrivals: list[int]) -> tuple[FloatArray, Decoding]:
    """Return the final weight of each symbol, and the decoding."""
    weights = np.zeros(decoder.code.n_symbols)
    decoder.begin()
    for symbol in arrivals:
        weight = decoder.arrive(symbol)
        assert weight is not None
        weights[symbol] = weight
    decoding = decoder.finish()
    return weights * decoding.scale, decoding


def build(code: GradientCode, scale: str, r: int | None = None, p: float = 0.3) -> Decoder:
    def weights() -> FloatArray:
        return np.asarray(1.0 / (1.0 - p ** groups_of(code).sizes), dtype=np.float64)

    context = DecoderContext(r, None, weights)
    return DECODERS.build(f"first-copy:scale={scale}", code, context)


@pytest.mark.parametrize("scale", ["none", "unbiased", "group", "coverage"])
@pytest.mark.parametrize(("k", "c", "n"), [(6, 2, None), (7, 3, None), (5, 2, 8), (8, 1, 3)])
def test_reports_equal_the_weights_for_every_arrival_set(
    scale: str, k: int, c: int, n: int | None
) -> None:
    """alpha, decode error, amplification and erasures by definition, on all 2^k subsets."""
    code = frc(k, c, n)
    decoder = build(code, scale, r=2)
    A = code.matrix.toarray()
    for size in range(k + 1):
        for arrived in itertools.combinations(range(k), size):
            weights, decoding = decode(decoder, list(arrived))
            alpha = weights @ A
            np.testing.assert_allclose(decoding.task_weights, alpha, atol=1e-14)
            error = np.sum((alpha - 1) ** 2) / code.n_tasks
            assert decoding.decode_error == pytest.approx(error, abs=1e-13)
            assert decoder.error() == pytest.approx(error, abs=1e-13)
            assert decoding.erased_tasks == np.count_nonzero(alpha == 0)
            assert decoding.amplification == pytest.approx((np.abs(weights) @ A).max(initial=0))
            assert decoder.exact == (decoding.erased_tasks == 0)


@settings(deadline=None)
@given(st.permutations(range(12)), st.integers(0, 12))
def test_only_the_first_copy_counts(order: list[int], size: int) -> None:
    code = frc(12, 3)
    weights, decoding = decode(build(code, "none"), order[:size])
    per_group = np.bincount(groups_of(code).of_symbol, weights, minlength=4)
    assert set(per_group) <= {0.0, 1.0}
    assert decoding.decode_error == pytest.approx(np.mean(per_group == 0))


def all_sets(k: int, r: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(range(k), r))


def test_lemma_2_and_3_by_enumeration() -> None:
    """n = k = 6, c = 2, r = 3: p = .2, q = .4, and both moments over all 20 arrival sets."""
    code, rng = frc(6, 2), np.random.default_rng(1)
    assert float(uncovered_probability(6, 2, 3)) == pytest.approx(0.2, abs=1e-15)
    assert either_uncovered_probability(6, 2, 3) == pytest.approx(0.4, abs=1e-15)
    g = rng.normal(size=(6, 4))
    decoder = build(code, "none")
    estimates = []
    for arrived in all_sets(6, 3):
        _, decoding = decode(decoder, list(arrived))
        estimates.append(decoding.task_weights @ g)
    blocks = np.array([g[groups_of(code).of_task == b].sum(axis=0) for b in range(3)])
    mean, square = first_copy_moments(blocks, 6, 3)
    np.testing.assert_allclose(np.mean(estimates, axis=0), mean, atol=1e-15)
    assert np.mean(np.sum(np.square(estimates), axis=1)) == pytest.approx(square, abs=1e-14)


@pytest.mark.parametrize(
    ("k", "n", "c", "r", "covered", "blocks"),
    [(30, None, 2, 11, 9.10, 15), (30, None, 3, 11, 7.61, 10), (30, None, 5, 11, 5.51, 6)],
)
def test_expected_coverage_by_simulation(
    k: int, n: int | None, c: int, r: int, covered: float, blocks: int
) -> None:
    """E[covered blocks] = B (1 - p); the real decoder on random arrival orders agrees."""
    code, rng = frc(k, c, n), np.random.default_rng(2)
    p = float(uncovered_probability(k, int(groups_of(code).sizes[0]), r))
    assert groups_of(code).count == blocks
    assert blocks * (1 - p) == pytest.approx(covered, abs=0.005)
    decoder = build(code, "none")
    erased = []
    for _ in range(2000):
        _, decoding = decode(decoder, rng.permutation(k)[:r].tolist())
        erased.append(decoding.erased_tasks / c)
    spread = np.std(erased) / np.sqrt(len(erased))
    assert np.mean(erased) == pytest.approx(blocks * p, abs=5 * spread)


@pytest.mark.parametrize(("k", "c", "n", "r"), [(6, 2, None, 3), (7, 3, None, 3), (8, 2, 5, 4)])
def test_unbiased_scale_is_unbiased_for_uniform_arrivals(
    k: int, c: int, n: int | None, r: int
) -> None:
    """Mean of alpha over all r-subsets is 1 for every task, with unequal groups too."""
    code = frc(k, c, n)
    decoder = build(code, "unbiased", r=r)
    alphas = [decode(decoder, list(arrived))[1].task_weights for arrived in all_sets(k, r)]
    np.testing.assert_allclose(np.mean(alphas, axis=0), 1.0, atol=1e-14)


def test_a_group_that_no_slot_holds_has_no_infinite_weight() -> None:
    """It is erased for certain, and 1/(1-p) with it; with warnings as errors."""
    code = CODES.build("coupon:c=3", 12, None, np.random.default_rng(13))
    groups = groups_of(code)
    unheld = groups.sizes == 0
    assert unheld.any()
    _, decoding = decode(build(code, "unbiased", r=4), list(range(12)))
    missed = uncovered_probability(12, groups.sizes, 4)
    expected = np.where(unheld, 0.0, 1.0 / (1.0 - np.where(unheld, 0.0, missed)))
    np.testing.assert_allclose(decoding.task_weights, expected[groups.of_task])


def test_group_scale_is_unbiased_for_independent_stragglers() -> None:
    """Slots straggle independently, each with its own p; alpha averages to 1 over all 2^6."""
    code = frc(6, 3)
    p = np.array([0.05, 0.3, 0.6, 0.2, 0.5, 0.4])
    given = "/".join(map(str, p))
    decoder = DECODERS.build(f"first-copy:scale=group,p={given}", code, DecoderContext())
    mean = np.zeros(6)
    for size in range(7):
        for arrived in all_sets(6, size):
            here = np.isin(np.arange(6), arrived)
            mean += (
                np.prod(np.where(here, 1 - p, p)) * decode(decoder, list(arrived))[1].task_weights
            )
    np.testing.assert_allclose(mean, 1.0, atol=1e-14)


def test_a_dead_group_does_not_divide_by_zero() -> None:
    """All slots of a group never answer: its weight is capped at 1/(1 - .95) = 20."""
    code = frc(4, 2)
    context = DecoderContext(None, None, lambda: np.full(2, np.inf))
    decoder = DECODERS.build("first-copy:scale=group", code, context)
    assert decode(decoder, [0])[1].task_weights.max() == pytest.approx(20.0)


def test_coverage_scale_is_b_over_m() -> None:
    """Unbiased given m: over all sets with m of B covered, alpha averages to 1; exact at m = B."""
    code = frc(8, 2)
    decoder = build(code, "coverage")
    by_count: dict[int, list[FloatArray]] = {}
    for r in range(1, 9):
        for arrived in all_sets(8, r):
            m = len(set(groups_of(code).of_symbol[list(arrived)]))
            _, decoding = decode(decoder, list(arrived))
            assert decoding.scale == pytest.approx(4 / m)
            by_count.setdefault(m, []).append(decoding.task_weights)
    for alphas in by_count.values():
        np.testing.assert_allclose(np.mean(alphas, axis=0), 1.0, atol=1e-12)
    assert np.all(np.array(by_count[4]) == 1.0)


@pytest.mark.parametrize(
    ("scale", "equal", "orthogonal", "around_one"),
    [
        ("none", 0.065, 0.239, 0.069),
        ("unbiased", 0.014, 0.314, 0.021),
        ("coverage", 0.0, 0.333, 0.0084),
    ],
)
def test_relative_errors_of_the_three_scales(
    scale: str, equal: float, orthogonal: float, around_one: float
) -> None:
    """n = k = 30, c = 3, r = 11, MSE / ||g||^2 for equal and for orthogonal task gradients, exact.

    Which m blocks are covered does not matter to either error, so one set for each m is decoded.
    Gradients scattered about 1 (Gram 11^T + I) are a mixture; the published numbers are those of
    one draw."""
    code = frc(30, 3)
    chance = covered_distribution(30, 3, 11)
    assert chance.sum() == pytest.approx(1.0)
    decoder = build(code, scale, r=11)
    first_slots = [int(np.flatnonzero(groups_of(code).of_symbol == b)[0]) for b in range(10)]
    aligned, apart = 0.0, 0.0
    for m in range(1, 11):
        alpha = decode(decoder, first_slots[:m])[1].task_weights
        aligned += chance[m] * float((alpha.sum() - 30) ** 2) / 900
        apart += chance[m] * float(np.mean((alpha - 1) ** 2))
    assert aligned == pytest.approx(equal, abs=5e-4)
    assert apart == pytest.approx(orthogonal, abs=6e-4)
    assert (30 * aligned + apart) / 31 == pytest.approx(around_one, rel=0.3)


def test_misfits_are_one_sentence() -> None:
    plain = code_from_rows("odd", [(np.array([0, 1]), np.array([1.0, 2.0]))], 2, n_workers=1)
    with pytest.raises(UsageError, match=r"'first-copy'.*'odd'"):
        DECODERS.build("first-copy", plain, DecoderContext())
    with pytest.raises(UsageError, match=r"scale=unbiased.*fraction"):
        DECODERS.build("first-copy:scale=unbiased", frc(6, 2), DecoderContext())
    with pytest.raises(UsageError, match=r"scale=group.*p=0.3"):
        DECODERS.build("first-copy:scale=group", frc(6, 2), DecoderContext())
    with pytest.raises(UsageError, match=r"p=0.3.*scale=group, and the scale is coverage"):
        DECODERS.build("first-copy:scale=coverage,p=0.3", frc(6, 2), DecoderContext())
