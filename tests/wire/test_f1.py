"""Eight-bit numbers, and parts of vectors that are parts of what stands for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.f1 import F1
from tests.support.example_messages import packed

VECTORS = hnp.arrays(
    np.float64, st.integers(0, 200), elements=st.floats(-1e30, 1e30, allow_subnormal=False)
)
DIVISIBLE = [name for name in FORMATS if FORMATS.build(name).divisible]


def test_a_worked_example() -> None:
    """The largest is between 2^3 and 2^4; a value keeps five binary digits, or two behind 1/16."""
    vector = packed([10.0, -0.1, 1.03125, 1.2, 1e-9, 0.0], "f1")
    codes, scale = vector.arrays
    assert scale.tolist() == [16.0]
    assert codes.tolist() == [0b0_110_0100, 0b1_000_0110, 0b0_011_0001, 0b0_011_0011, 0, 0]
    found = F1().unpack(vector).tolist()
    assert found == [10.0, -3 / 32, 1.0625, 1.1875, 0.0, 0.0]


@given(values=VECTORS)
def test_each_value_keeps_five_digits_of_its_own(values: np.ndarray) -> None:
    found = F1().unpack(packed(values, "f1"))
    largest = np.abs(values).max(initial=0.0)
    # Vectors of the size of 1e-300 and below are next to nothing.
    bound = 2.0**-5 * np.abs(values) * (1 + 1e-6) + 2.0**-10 * max(largest, 1e-300)
    assert (np.abs(found - values) <= bound).all()


def test_every_code_is_sent_for_what_it_stands_for() -> None:
    """But for zero, what is not finite, and one, which only rounding leads to."""
    codes = np.arange(1, 112)
    small = codes % 16 / 16 * 2.0**-6
    values = np.where(codes < 16, small, (1.0 + codes % 16 / 16) * 2.0 ** (codes // 16 - 7))
    sent, scale = packed(np.concatenate([values, -values]), "f1").arrays
    assert scale.tolist() == [1.0]
    assert sent.tolist() == [*codes.tolist(), *(codes + 128).tolist()]
    assert F1().unpack(packed(values, "f1")).tolist() == values.tolist()
    assert F1().unpack(packed([0.99], "f1")).tolist() == [1.0]


def test_on_average_over_many_values_rounding_takes_nothing() -> None:
    """What is between two codes goes to the nearer one, so that there is no drift."""
    values = np.random.default_rng(0).normal(size=200_000)
    lost = values - F1().unpack(packed(values, "f1"))
    assert abs(lost.mean()) < 4 * lost.std() / np.sqrt(len(lost))


@pytest.mark.parametrize("name", DIVISIBLE)
@given(values=VECTORS, seed=st.integers(0, 1000))
def test_a_part_of_what_is_sent_is_what_is_sent_of_a_part(
    name: str, values: np.ndarray, seed: int
) -> None:
    """To the last bit: all workers receive parts of one point."""
    format, vector = FORMATS.build(name), packed(values, name)
    support = np.flatnonzero(np.random.default_rng(seed).random(len(values)) < 0.5)
    part = format.part(vector, support)
    assert format.misfit(part) is None
    assert format.unpack(part).tobytes() == format.unpack(vector)[support].tobytes()
    assert format.part(vector, None) is vector


def test_these_formats_are_divisible() -> None:
    assert DIVISIBLE == ["f8", "f4", "f2", "f12", "f1"]
