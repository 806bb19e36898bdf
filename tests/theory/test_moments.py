"""Coverage probabilities against binomials and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from erasurehead.errors import UsageError
from erasurehead.theory.decode_errors import (
    coverage_error,
    independent_subset_error,
    least_error,
    replication_bounds,
    subset_error,
)
from erasurehead.theory.moments import (
    covered_distribution,
    covered_probability,
    either_uncovered_probability,
    first_copy_moments,
    group_size,
    uncovered_probability,
)


def test_p_and_q_are_ratios_of_binomials() -> None:
    for k, size, r in itertools.product((5, 12, 30), (0, 1, 2), range(1, 6)):
        p = math.comb(k - size, r) / math.comb(k, r)
        q = 2 * p - math.comb(k - 2 * size, r) / math.comb(k, r)
        assert float(uncovered_probability(k, size, r)) == pytest.approx(p, rel=1e-13)
        assert either_uncovered_probability(k, size, r) == pytest.approx(q, rel=1e-12)


@pytest.mark.parametrize(
    ("k", "size", "r", "p"),
    [
        (30, 2, 11, 0.3931),
        (30, 3, 11, 0.23867),
        (30, 3, 15, 0.1121),
        (30, 5, 11, 0.0816),
        (12, 4, 3, 0.2545),
        (12, 4, 6, 0.0303),
        (12, 4, 9, 0.0),
    ],
)
def test_worked_values(k: int, size: int, r: int, p: float) -> None:
    assert float(uncovered_probability(k, size, r)) == pytest.approx(p, abs=5e-5)


def test_worked_values_of_q() -> None:
    assert either_uncovered_probability(30, 2, 11) == pytest.approx(0.6448, abs=5e-5)
    assert either_uncovered_probability(30, 3, 11) == pytest.approx(0.43165, abs=5e-6)


def test_sizes_may_be_an_array() -> None:
    sizes = np.array([3, 0, 1, 3])
    p = uncovered_probability(10, sizes, 4)
    assert p.tolist() == [float(uncovered_probability(10, s, 4)) for s in sizes]


def test_two_groups_must_fit() -> None:
    with pytest.raises(UsageError, match="two groups of 4"):
        either_uncovered_probability(6, 4, 2)


@pytest.mark.parametrize(("k", "size", "r"), [(6, 2, 3), (8, 2, 5), (9, 3, 4), (7, 1, 3)])
def test_covered_groups_by_enumeration(k: int, size: int, r: int) -> None:
    counts = np.zeros(k // size + 1)
    subsets = list(itertools.combinations(range(k), r))
    for arrived in subsets:
        counts[len({slot // size for slot in arrived})] += 1
    found = covered_distribution(k, size, r)
    np.testing.assert_allclose(found, counts / len(subsets), atol=1e-15)
    assert found[-1] == pytest.approx(covered_probability(k, size, r))
    error = sum(p * (k // size - m) / m for m, p in enumerate(found) if m)
    assert coverage_error(found) == pytest.approx(error)


def test_errors_of_fixed_weights_by_enumeration() -> None:
    """Random weighted rows: all 3-subsets of 6, and all 2^6 subsets of independent slots."""
    rng = np.random.default_rng(4)
    weighted = rng.normal(size=(6, 5)) * (rng.random((6, 5)) < 0.6)
    rows = csr_array(weighted)

    def error(arrived: tuple[int, ...]) -> float:
        return float(np.sum((weighted[list(arrived)].sum(axis=0) - 1.0) ** 2)) / 5

    errors = [error(arrived) for arrived in itertools.combinations(range(6), 3)]
    assert subset_error(rows, 3) == pytest.approx(np.mean(errors))
    p = rng.random(6)
    expected = 0.0
    for here in itertools.product((False, True), repeat=6):
        chance = float(np.prod(np.where(here, 1.0 - p, p)))
        expected += chance * error(tuple(np.flatnonzero(here).tolist()))
    assert independent_subset_error(rows, p) == pytest.approx(expected)


def test_least_errors() -> None:
    """Two copies each, p = .3: nothing is below p^2, nothing unbiased below p^2/(1-p^2)."""
    missing = np.full(4, 0.09)
    assert least_error(missing) == pytest.approx((0.09, 0.09 / 0.91))
    assert replication_bounds(0.3, 2)[0] == pytest.approx(least_error(missing)[1])
    assert least_error(np.array([1.0, 0.0])) == (0.5, math.inf)


def test_one_group_of_all_slots_is_never_erased() -> None:
    assert either_uncovered_probability(6, 6, 2) == 0.0
    moments = first_copy_moments(np.array([[3.0, 4.0]]), 6, 2)
    np.testing.assert_allclose(moments[0], [3.0, 4.0])
    assert moments[1] == pytest.approx(25.0)


def test_groups_are_equal_or_refused() -> None:
    assert group_size(30, 15, 3) == 6
    with pytest.raises(UsageError, match=r"c=4 of 30 tasks"):
        group_size(30, 30, 4)
