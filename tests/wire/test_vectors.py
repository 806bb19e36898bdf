"""Vectors survive every format up to its rounding, and what is no vector of it is told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from erasurehead.errors import UsageError
from erasurehead.wire.frames import DTYPES, MAX_ARRAYS, MAX_NAME, decode, encode
from erasurehead.wire.messages import TO_WORKER, Step
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.automatic import automatic_format
from erasurehead.wire.vectors.base import Packed
from erasurehead.wire.vectors.f8 import F8
from tests.support.example_messages import packed

every_format = pytest.mark.parametrize("name", list(FORMATS))

ORDINARY = st.just(0.0) | st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30)
FINITE = st.floats(-1e308, 1e308)


def vectors(elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, st.integers(0, 200), elements=elements)


def through(name: str, values: object) -> np.ndarray:
    """Return what the receiver of these values computes with."""
    step = decode(encode(Step(0, 1, packed(values, name))), TO_WORKER)
    assert FORMATS.build(name).misfit(step.model) is None
    return np.asarray(FORMATS.build(name).unpack(step.model))


@every_format
@given(values=vectors(ORDINARY))
def test_values_come_out_as_they_went_in_up_to_rounding(name: str, values: np.ndarray) -> None:
    found = through(name, values)
    assert found.shape == values.shape
    assert found.dtype in (np.dtype("f8"), np.dtype("f4"))
    bound = FORMATS.build(name).relative_error * np.abs(values).max(initial=0.0)
    assert np.abs(found - values).max(initial=0.0) <= bound


@every_format
@given(values=vectors(st.floats(-1e30, 1e30) | st.sampled_from([np.nan, np.inf, -np.inf])))
def test_what_is_not_finite_stays_so(name: str, values: np.ndarray) -> None:
    found = through(name, values)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    np.testing.assert_array_equal(np.isposinf(found), np.isposinf(values))
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(values))


@every_format
def test_what_is_sent_is_allowed_on_the_wire(name: str) -> None:
    vector = packed(np.linspace(-1.0, 1.0, 1000), name)
    assert vector.format == name
    assert len(name) <= MAX_NAME
    assert len(vector.arrays) <= MAX_ARRAYS
    assert all(array.dtype in DTYPES.values() and array.ndim == 1 for array in vector.arrays)


@every_format
@given(
    n=st.integers(0, 2**62) | st.integers(0, 5),
    arrays=st.lists(
        hnp.arrays(st.sampled_from(sorted(DTYPES)), st.integers(0, 5)), max_size=MAX_ARRAYS
    ),
)
def test_nothing_a_peer_sends_makes_unpacking_fail(
    name: str, n: int, arrays: list[np.ndarray]
) -> None:
    vector = Packed(name, n, tuple(arrays))
    format = FORMATS.build(name)
    if format.misfit(vector) is None:
        assert format.unpack(vector).shape == (n,)
    else:
        assert "no vector in format" in str(format.misfit(vector))


@every_format
def test_arrays_of_another_length_do_not_fit(name: str) -> None:
    vector = packed([1.0, 2.0], name)
    for n in (1, 3):
        assert FORMATS.build(name).misfit(Packed(name, n, vector.arrays)) is not None
    for arrays in ((), vector.arrays * 2):
        assert FORMATS.build(name).misfit(Packed(name, 2, arrays)) is not None


def test_a_vector_of_another_format_is_named() -> None:
    why = F8().misfit(packed([1.0], "f4"))
    assert why == "it is in vector format 'f4', not 'f8'"


def test_f8_copies_nothing() -> None:
    values = np.array([0.1, -2.0, 1e300])
    vector = packed(values, "f8")
    assert np.shares_memory(vector.arrays[0], values)
    assert F8().unpack(vector) is vector.arrays[0]


def test_f4_rounds_to_24_digits_and_is_computed_with_as_it_came() -> None:
    found = through("f4", [1.0, 1.0 + 2.0**-24, -1.0 - 2.0**-23, 1e-50])
    assert found.tolist() == [1.0, 1.0, -1.0 - 2.0**-23, 0.0]
    assert found.dtype == np.float32


def test_f4_makes_of_a_value_beyond_its_range_one_that_is_refused() -> None:
    with np.errstate(over="ignore"):
        found = through("f4", [3.4e38, -3.5e38])
    assert found.tolist() == [np.float32(3.4e38), -np.inf]


@pytest.mark.parametrize("unit", [2.0**-900, 2.0**-40, 1.0, 2.0**16, 2.0**900])
def test_f2_rounds_to_11_digits_whatever_the_size_of_the_values(unit: float) -> None:
    values = unit * np.array([1.0, 1.0 + 2.0**-11, -1.0 - 2.0**-10, 1.0 / 3.0, 0.0])
    rounded = unit * np.array([1.0, 1.0, -1.0 - 2.0**-10, 0.333251953125, 0.0])
    assert through("f2", values).tolist() == rounded.tolist()


@given(values=vectors(FINITE))
def test_f2_is_good_to_11_digits_of_each_value_and_29_bits_below_the_largest(
    values: np.ndarray,
) -> None:
    largest = np.abs(values).max(initial=0.0)
    found = through("f2", values)
    # Vectors of the size of 1e-300 and below are next to nothing.
    bound = 2.0**-11 * np.abs(values) + 2.0**-39 * max(largest, 1e-300)
    assert (np.abs(found - values) <= bound).all()


def test_f2_makes_no_finite_value_infinite() -> None:
    """float16 by itself ends at 65504."""
    assert through("f2", [70000.0, 1.0]).tolist() == [pytest.approx(70000.0, rel=2**-11), 1.0]
    assert through("f2", [1.7e308, -np.inf])[0] == pytest.approx(1.7e308, rel=2**-11)


def test_a_scale_made_up_by_a_peer_makes_values_that_are_refused_not_warnings() -> None:
    codes = np.array([1.0, 0.0, -1.0], dtype="<f2")
    for scale in (np.inf, np.nan, 1e308):
        vector = Packed("f2", 3, (codes * 60000, np.array([scale])))
        assert not np.isfinite(FORMATS.build("f2").unpack(vector)).all()


@pytest.mark.parametrize("n_tasks", [1, 2, 12, 30, 1000, 10**6])
def test_a_run_that_loses_tasks_is_served_by_single_precision(n_tasks: int) -> None:
    """Half precision is never so good that its rounding counts for nothing."""
    assert automatic_format(n_tasks**-0.5) == "f4"


def test_a_run_that_loses_nothing_is_served_by_double_precision() -> None:
    assert automatic_format(0.0) == "f8"


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"unknown vector format 'f3'.*known: f8, f4, f2"):
        FORMATS.build("f3")
    with pytest.raises(UsageError, match="vector format 'f4' exists already"):
        FORMATS.register("f4", F8)
