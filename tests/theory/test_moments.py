"""Coverage probabilities against binomials and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.theory.moments import either_uncovered_probability, uncovered_probability


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
