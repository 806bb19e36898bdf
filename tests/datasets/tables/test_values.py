from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.datasets.encodings.table import Value, ValueType
from erasurehead.datasets.tables.categories import Distinct, Known, in_order, kind_of
from erasurehead.datasets.tables.values import hidden, missing, numbers, settled


def test_texts_become_numbers_or_all_of_them_do_not() -> None:
    found = numbers(pa.array([" 1.5", "+2", "-3e2", ".5"]), ".")
    assert found is not None
    assert found.tolist() == [1.5, 2.0, -300.0, 0.5]
    assert numbers(pa.array(["1", "?"]), ".") is None
    german = numbers(pa.array(["1,5", "2"]), ",")
    assert german is not None
    assert german.tolist() == [1.5, 2.0]
    for strange in ("0x10", "1_000", "1,5", "", "True"):
        assert numbers(pa.array([strange]), ".") is None, strange


def test_types_of_parquet_are_what_they_mean() -> None:
    cents = pa.array([Decimal("1.25"), None], pa.decimal128(9, 2))
    ids = pa.array([Decimal(2**53 + 1)], pa.decimal128(20, 0))
    beyond = pa.array([Decimal(10**25)], pa.decimal128(30, 0))
    assert settled(cents).to_pylist() == [1.25, None]
    assert settled(ids).to_pylist() == [2**53 + 1]
    assert settled(beyond).to_pylist() == [str(10**25)]
    assert settled(pa.array([2**64 - 1], pa.uint64())).to_pylist() == [str(2**64 - 1)]
    assert settled(pa.array([7], pa.uint64())).to_pylist() == [7]
    assert settled(pa.array(["a", "b", "a"]).dictionary_encode()).to_pylist() == ["a", "b", "a"]
    assert settled(pa.array([1.5], pa.float32())).type == pa.float64()
    assert settled(pa.array([3], pa.int8())).type == pa.int64()


@pytest.mark.parametrize(
    ("array", "marks", "expected"),
    [
        (pa.array(["a", "NA", None]), ["NA"], [False, True, True]),
        (pa.array(["a", "NA"]), [], None),
        (pa.array([1.0, np.nan]), ["NA"], [False, True]),
        (pa.array([1.0, None]), [], [False, True]),
        (pa.array([1, None]), [], [False, True]),
        (pa.array([], pa.float64()), [], None),
    ],
)
def test_what_is_missing(array: Any, marks: list[str], expected: list[bool] | None) -> None:
    found = missing(array, marks)
    assert (None if found is None else found.tolist()) == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "integer"),
        (["-1", "0"], "integer"),
        (["1", "2.5"], "number"),
        (["1,5", "2"], "text"),
        (["007", "8"], "text"),
        (["07.5", "8"], "text"),
        (["0.5", "8"], "number"),
        ([str(2**63 - 1), "0"], "integer"),
        ([str(2**63), "0"], "text"),
        ([str(2**53 + 1), "0.5"], "text"),
        (["true", "FALSE"], "boolean"),
        (["true", "yes"], "text"),
        (["nan", "1"], "text"),
        (["1_0", "1"], "text"),
        ([1, 2], "integer"),
        ([1.5, 2.0], "number"),
        ([True, False], "boolean"),
        ([], "text"),
    ],
)
def test_how_categories_are_compared(values: list[Value], kind: ValueType) -> None:
    assert kind_of(values, ".", typed=False) == kind


def test_texts_of_parquet_stay_texts() -> None:
    assert kind_of(["1", "2"], ".", typed=True) == "text"


def test_categories_have_the_order_of_what_they_are() -> None:
    assert in_order(["10", "9"], "integer", ".")[0] == (9, 10)
    assert in_order(["10", "9"], "text", ".")[0] == ("10", "9")
    ordered, codes = in_order(["2.0", "1.5", "2"], "number", ".")
    assert (ordered, codes.tolist()) == ((1.5, 2.0), [1, 0, 1])
    assert in_order(["TRUE", "false", "true"], "boolean", ".")[0] == (False, True)


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=6))
def test_distinct_values_are_numbered_as_they_come(pieces: list[list[int]]) -> None:
    distinct, row, given_out = Distinct(), 1, []
    for piece in pieces:
        rows = np.arange(row, row + len(piece))
        given_out += distinct.take(pa.array(piece, pa.int64()), rows, Path("t")).tolist()
        row += len(piece)
    flat: list[Value] = [value for piece in pieces for value in piece]
    assert distinct.values == list(dict.fromkeys(flat))
    assert [distinct.values[code] for code in given_out] == flat
    assert distinct.counts.tolist() == [flat.count(v) for v in distinct.values]
    for code, value in enumerate(distinct.values):
        assert distinct.place(code) == f"row {flat.index(value) + 1} of t"


@pytest.mark.parametrize(
    ("known", "kind", "array", "codes"),
    [
        (("01", "1"), "text", pa.array(["1", "01", "2"]), [1, 0, -1]),
        (("1", "2"), "text", pa.array([2, 3]), [1, -1]),
        ((1, 2), "integer", pa.array(["2", "1.0", "2.5", "x"]), [1, 0, -1, -1]),
        ((1, 2), "integer", pa.array([2.0, 1.5]), [1, -1]),
        ((2**53, 2**53 + 2), "integer", pa.array([2**53 + 1, 2**53 + 2]), [-1, 1]),
        ((2**53, 2**53 + 2), "integer", pa.array([str(2**53 + 1), str(2**53)]), [-1, 0]),
        ((1.0, 2.5), "number", pa.array([1, 2]), [0, -1]),
        ((False, True), "boolean", pa.array(["True", "FALSE", "x"]), [1, 0, -1]),
        ((False, True), "boolean", pa.array([True, False]), [1, 0]),
    ],
)
def test_new_values_are_compared_as_training_did(
    known: tuple[Value, ...], kind: ValueType, array: Any, codes: list[int]
) -> None:
    assert Known(known, kind, ".").codes(array).tolist() == codes


@pytest.mark.parametrize(
    ("values", "counts", "expected"),
    [
        (["1.5", "2.5", "?"], [50, 49, 1], ("numbers", 2)),
        (["?", "1.5"], [5, 95], ("numbers", 0)),
        (["02116", "94107", "K1A"], [50, 25, 25], None),
        (["1,200", "950", "$1,100.50"], [1, 1, 1], ("numbers", 0)),
        (["12 %", "7 %"], [1, 1], ("numbers", 0)),
        (["2024-01-31", "2024-02-01T10:30:00Z"], [1, 1], ("dates", 0)),
        (["31.12.2024", "1.1.2025 8:05"], [1, 1], ("dates", 0)),
        (["unknown", "31/12/24", "12/31/2024"], [1, 10, 10], ("dates", 1)),
        (["Ulm", "Köln"], [1, 1], None),
        (["a-1", "1-2-3"], [1, 1], None),
    ],
)
def test_what_texts_hide(
    values: list[str], counts: list[int], expected: tuple[str, int] | None
) -> None:
    assert hidden(values, np.array(counts), ".") == expected
