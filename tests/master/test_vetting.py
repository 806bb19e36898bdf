"""What a worker says it has computed is looked at before it is used."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.wire.messages import Result
from erasurehead.wire.vectors import FORMATS
from erasurehead_master.machine.norms import NormLimit
from erasurehead_master.machine.vetting import Fault, is_support, unpacked
from tests.support.example_messages import packed

LEAST, MOST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


@pytest.mark.parametrize("columns", [[3], [0, 1, 9], list(range(10))])
def test_sorted_columns_are_a_support(columns: list[int]) -> None:
    assert is_support(np.array(columns, dtype=np.int32), 10)


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [-1, 3],
        [3, 10],
        [3, 3],
        [4, 3],
        [1, 7, 2, 9],
        # Their difference as 32-bit integers is +1.
        [MOST, LEAST],
        [1, MOST, LEAST, 2],
    ],
)
def test_anything_else_is_none(columns: list[int]) -> None:
    assert not is_support(np.array(columns, dtype=np.int32), 10)


def result(*vectors: list[float], format: str = "f8") -> Result:
    losses = [0.5] * len(vectors)
    return Result(0, 1, 0, 0, tuple(packed(v, format) for v in vectors), losses, 0.0, 0.0)


@pytest.mark.parametrize("name", list(FORMATS))
def test_good_vectors_are_handed_on_as_they_were_unpacked(name: str) -> None:
    format = FORMATS.build(name)
    sent = result([1.0, 2.0], [3.0, -4.0], format=name)
    found = unpacked(sent, format, 2, 2, NormLimit(10.0, 5))
    assert not isinstance(found, Fault)
    assert found.vectors[0].tolist() == [1.0, 2.0]
    np.testing.assert_allclose(
        found.vectors[1], [3.0, -4.0], rtol=0, atol=4 * format.relative_error
    )
    if format.value_by_value:
        for vector, was in zip(found.vectors, sent.vectors, strict=True):
            assert np.shares_memory(vector, was.arrays[0])


def test_a_sum_that_overflows_is_no_fault_while_every_value_is_finite() -> None:
    largest = float(np.finfo("f4").max)
    sent = result([largest, largest], format="f4")
    with np.errstate(over="ignore"):
        found = unpacked(sent, FORMATS.build("f4"), 1, 2, None)
    assert not isinstance(found, Fault)


@pytest.mark.parametrize(
    ("sent", "reason", "words"),
    [
        (result([1.0, 2.0]), "wrong-shape", "a result of 2 values with 1 losses"),
        (result([1.0] * 3, [1.0] * 2), "wrong-shape", "a result of 3 and 2 values"),
        (result([1.0] * 3, [1.0] * 3, [1.0] * 3), "wrong-shape", "3 and 3 and 3 values"),
        (result([1.0] * 3, [1.0] * 3, format="f4"), "wrong-format", "'f4', not 'f8'"),
        (result([1.0] * 3, [1.0, np.nan, 1.0]), "non-finite", "not finite"),
        (result([1.0] * 3, [1.0, -np.inf, 1.0]), "non-finite", "not finite"),
        (result([1.0] * 3, [1e200, 0.0, 1.0]), "non-finite", "norm 1e+200 and loss 0.5"),
        (result([0.0] * 3, [0.0, 2e9, 0.0]), "over-norm", "over 10 times as large"),
        (result([2e9, 0.0, 0.0], [0.0] * 3), "over-norm", "over 10 times as large"),
    ],
)
def test_what_is_wrong_with_a_result_is_named(sent: Result, reason: str, words: str) -> None:
    norms = NormLimit(10.0, 5)
    format = FORMATS.build("f8")
    for _ in range(3):
        good = result([1.0] * 3, [1.0] * 3)
        assert not isinstance(unpacked(good, format, 2, 3, norms), Fault)
    found = unpacked(sent, format, 2, 3, norms)
    assert isinstance(found, Fault)
    assert found.reason == reason
    assert words in found.what
