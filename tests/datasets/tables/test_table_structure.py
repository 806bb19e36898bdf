from __future__ import annotations

import pytest

from erasurehead.datasets.tables.structure import (
    find_decimal,
    find_separator,
    repaired,
    sample_rows,
)
from erasurehead.errors import DataError


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("a\n1\n", ","),
        ("a,b\n1,2,\n3,4,\n", ","),
        ("a,b\n1,2\n3\n", ","),
        ('"a;b",c\n1,2\n', ","),
        ("name;note\nx;a, b\ny;c\n", ";"),
    ],
)
def test_the_separator_is_the_one_that_fits(text: str, separator: str) -> None:
    assert find_separator(text, "t.csv") == separator


@pytest.mark.parametrize("text", ["a;x,b\n1;2,3\n", "a;b,c\n1;2;3\n4;5;6\n"])
def test_two_separators_may_fit(text: str) -> None:
    with pytest.raises(DataError, match=r"may be separated by ',' and ';'; say which with separ"):
        find_separator(text, "t.csv")


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1,5;2\n", ","),
        ("1.5;2\n", "."),
        ("12;x\n", "."),
        ("1.234,5;2\n1,25;3\n", ","),
        ("1,5;2.5\n", "."),
        ("1,234;0,5\n", ","),
    ],
)
def test_the_decimal_mark_is_the_one_that_numbers_have(text: str, decimal: str) -> None:
    assert find_decimal(sample_rows(text, ";"), "t.csv") == decimal


def test_commas_may_part_the_thousands() -> None:
    with pytest.raises(DataError, match="such as 1,234 may have a decimal comma or part the thou"):
        find_decimal([["1,234", "5,678,901"]], "t.csv")


def test_empty_fields_beyond_the_header_are_left_out() -> None:
    text = 'a,b\n"x, y",2,,\n\n3,"4\n5"\n'
    assert repaired(text, ",", 2, 1, "t.csv") == b'a,b\n"x, y",2\n3,"4\n5"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2\n3,4,5\n", "line 8 of t.csv has 3 fields, the header 2; give every row as many"),
        ("1,2\n\n3\n", "line 9 of t.csv has 1 field, the header 2"),
        ('1,"2\n2"\n3\n', "line 9 of t.csv has 1 field, the header 2"),
        (
            '1,2\n"3,4\n5,6\n7,8\n',
            "the row that begins in line 8 of t.csv and ends in line 10 has 1 field, the header 2;"
            r" give every row as many \(a quotation mark that is open",
        ),
        (f'1,"{"x" * 200_000}\n', "field larger than field limit .* after line 6; close"),
    ],
)
def test_ragged_rows_are_named_by_their_line(text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        repaired(text, ",", 2, 7, "t.csv")
