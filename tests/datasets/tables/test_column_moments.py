from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from erasurehead.datasets.encoding import one_hot_rows
from erasurehead.datasets.tables.moments import Moments, moments, standardised
from tests.support.small_rows import matrix_of

NUMBERS = hnp.arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e9, 1e9, allow_subnormal=False)
)


@given(NUMBERS)
def test_of_one_piece_they_are_numpys_to_the_last_bit(numbers: np.ndarray) -> None:
    mean, deviation = moments(numbers)
    # Of smaller numbers, numpy's own squares lose digits.
    if numbers.std() > max(1e-140, 1e-12 * np.abs(numbers).max()):
        assert (mean, deviation) == (numbers.mean(), numbers.std())


@given(NUMBERS, st.integers(1, 7))
def test_of_many_pieces_they_are_nearly_those_of_one(numbers: np.ndarray, size: int) -> None:
    whole, pieces = Moments(1e9), Moments(1e9)
    whole.add(numbers)
    for lo in range(0, len(numbers), size):
        pieces.add(numbers[lo : lo + size])
    largest = np.abs(numbers).max()
    assert pieces.mean == pytest.approx(whole.mean, rel=1e-12, abs=1e-14 * largest)
    assert pieces.deviation == pytest.approx(whole.deviation, rel=1e-9, abs=1e-7 * largest)


@pytest.mark.parametrize("rows", [3, 400, 100_000])
@pytest.mark.parametrize("value", [14.62, 0.1, -1e-300, 1e300, 0.0])
def test_what_rounding_alone_makes_is_no_deviation(value: float, rows: int) -> None:
    """A constant 14.62 had 1.8e-15, by which a new 14.63 was divided."""
    numbers = np.full(rows, value)
    assert moments(numbers) == (value, 0.0)
    numbers[::2] = np.nextafter(value, np.inf) if abs(value) > 1e-200 and value else value
    assert moments(numbers)[1] == 0.0


def test_a_real_spread_about_zero_stays() -> None:
    numbers = np.random.default_rng(0).normal(0.0, 1e-9, 1000)
    assert moments(numbers)[1] == pytest.approx(1e-9, rel=0.1)


@pytest.mark.parametrize("scale", [1e200, 1e-300, 1.7e308, 5e-324 * 2**20])
def test_numbers_whose_squares_are_none(scale: float) -> None:
    """They overflow or vanish; the result is that of the same numbers in another unit."""
    unit = np.random.default_rng(1).uniform(-1.0, 1.0, 500)
    numbers = unit * scale
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean, deviation = moments(numbers)
        found = standardised(numbers, mean, deviation)
    expected = (unit - unit.mean()) / unit.std()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.isfinite([mean, deviation]).all()


def test_published_tables_are_scaled_by_the_same_rules() -> None:
    columns = [np.full(50, 14.62), np.linspace(-1e200, 1e200, 50)]
    encoded = one_hot_rows([], columns, np.zeros(50), "numbers")
    found = matrix_of(encoded.train).toarray()
    np.testing.assert_array_equal(found[:, 0], 0.0)
    assert found[:, 1].std() == pytest.approx(1.0)
