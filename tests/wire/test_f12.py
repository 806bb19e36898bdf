"""Twelve-bit numbers: a worked example, and how far from the truth they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from erasurehead.wire.vectors.f12 import F12
from tests.support.example_messages import packed

VECTORS = hnp.arrays(
    np.float64, st.integers(0, 200), elements=st.floats(-1e30, 1e30, allow_subnormal=False)
)


def test_a_worked_example() -> None:
    """The largest is between 1 and 2: 1 is 1.0 * 2^-1 of 2, 0.3 is 1.2 * 2^-3 of it."""
    vector = packed([1.0, -0.3, 1e-9], "f12")
    first, halves, scale = vector.arrays
    assert scale.tolist() == [512.0]
    codes = [0b0_110_00000000, 0b1_100_00110011, 0]
    assert first.tolist() == [code >> 4 for code in codes]
    assert halves.tolist() == [(codes[1] & 15) << 4 | codes[0] & 15, 0]
    assert F12().unpack(vector).tolist() == [1.0, -(1 + 51 / 256) / 4, 0.0]


@given(values=VECTORS)
def test_each_value_keeps_nine_digits_of_its_own(values: np.ndarray) -> None:
    found = F12().unpack(packed(values, "f12"))
    largest = np.abs(values).max(initial=0.0)
    # Vectors of the size of 1e-300 and below are next to nothing.
    bound = 2.0**-9 * np.abs(values) * (1 + 2.0**-2) + 2.0**-14 * max(largest, 1e-300)
    assert (np.abs(found - values) <= bound).all()


def test_on_average_over_many_values_rounding_takes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    lost = values - F12().unpack(packed(values, "f12"))
    assert abs(lost.mean()) < 4 * lost.std() / np.sqrt(len(lost))
