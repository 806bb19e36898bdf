from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasurehead.datasets.encodings.table import TextForm
from erasurehead.datasets.tables import text as text_module
from erasurehead.datasets.tables.text import TextTable, checked_form
from erasurehead.errors import DataError, UsageError

AUTO = TextForm("auto", "auto")


def read(path: Path, wanted: list[str], form: TextForm = AUTO) -> list[tuple[int, list[str]]]:
    """Return the number and the values of every row."""
    found = []
    for piece in TextTable([path], form).pieces(wanted):
        columns = [piece.columns[name].to_pylist() for name in wanted]
        found += list(zip(piece.rows.tolist(), map(list, zip(*columns, strict=True)), strict=True))
    return found


VALUES = st.text(st.sampled_from(' ab;,"\n\r1.é'), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12),
    block=st.integers(1, 40),
    commas=st.integers(0, 2),
)
def test_every_field_is_read_whatever_the_blocks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str, str, str]],
    block: int,
    commas: int,
) -> None:
    """Also with line ends and separators in quotation marks, and with empty fields beyond."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    plain = out.getvalue()
    if commas:
        assert all("\n" not in value for row in rows for value in row) or commas
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([*row, *[""] * commas] for row in rows)
        plain = buffer.getvalue()
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b,c\n" + plain.encode())
    monkeypatch.setattr(text_module, "BLOCK_BYTES", block)
    found = read(path, ["c", "a"], TextForm(",", "."))
    assert found == [(i, [row[2], row[0]]) for i, row in enumerate(rows, 1)]


def test_a_file_may_begin_with_a_mark_and_end_lines_as_windows_does(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,y\r\n"))
    assert read(path, ["a", "b"]) == [(1, ["1", "x"]), (2, ["2", "y"])]


def test_the_form_is_found_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b;\n1,5;2;x\n")
    table = TextTable([path], AUTO)
    assert table.form == TextForm(";", ",", AUTO.missing)
    assert table.said == [
        f"fields of {path} are taken to be separated by ;",
        f"numbers of {path} are taken to have a decimal comma",
        f"column 3 of {path} has no name in the header and is left out",
    ]
    assert list(table.names) == ["a", "b"]


def test_rows_that_are_not_like_the_header_are_named(tmp_path: Path) -> None:
    """Far down as well, where blocks before it were all right."""
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 5 + "3\n" + "4,5\n")
    with pytest.raises(DataError, match=r"line 7 of .* has 1 field, the header 2"):
        read(path, ["a", "b"])
    path.write_text("a,b\n" + "1,2,\n" * 5 + "3,4,5\n")
    with pytest.raises(DataError, match=r"line 7 of .* has 3 fields, the header 2"):
        read(path, ["a", "b"])
    path.write_text("a,b\n1,2\n3,4,\n")
    assert read(path, ["a", "b"]) == [(1, ["1", "2"]), (2, ["3", "4"])]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a,b\n1,2\n1,\xe4\n", "line 3 holds bytes that are no UTF-8; convert the file"),
        (b"a,b\n1,2\n1,\xe4,3\n", "line 3 holds bytes that are no UTF-8; convert the file"),
        ("a,b\n1,2\n".encode("utf-16"), "it is UTF-16 text; convert it to UTF-8"),
        (b"\n\n", "No columns to parse"),
        (
            gzip.compress(b"a,b\n" + b"1,2\n" * 9000, mtime=0)[:-20],
            "is damaged: it is a gzip file that is",
        ),
    ],
    ids=["a byte of Latin-1", "a byte and a field more", "UTF-16", "no header", "half a gzip file"],
)
def test_what_is_no_text_table(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read(path, ["a", "b"])


def test_several_files_have_the_same_columns_in_any_order(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{n}.csv" for n in "123")
    first.write_text("a,b\n1,2\n")
    second.write_text("b,a\n4,3\n")
    third.write_text("a,c\n5,6\n")
    table = TextTable([first, second], AUTO)
    assert [p.columns["a"].to_pylist() for p in table.pieces(["a", "b"])] == [["1"], ["3"]]
    with pytest.raises(DataError, match=r"3.csv has no column 'b', as .*1.csv has"):
        list(TextTable([first, third], AUTO).pieces(["a", "b"]))


def test_numbers_are_parsed_where_a_block_holds_nothing_else(tmp_path: Path) -> None:
    """A block with a text comes as texts, and what is missing as a null."""
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;NA\n2;3\n")
    (piece,) = TextTable([path], AUTO).pieces(["a", "b"], {"a", "b"})
    assert piece.columns["a"].to_pylist() == [1.5, 2.0]
    assert piece.columns["b"].to_pylist() == [None, 3.0]
    path.write_text("a;b\n1,5;?\n2;3\n")
    (piece,) = TextTable([path], AUTO).pieces(["a", "b"], {"a", "b"})
    assert piece.columns["b"].to_pylist() == ["?", "3"]


def test_what_a_user_says_of_the_form() -> None:
    assert checked_form("tab", "comma", "usual") == TextForm("\t", ",")
    assert checked_form(";", ".", "?+NA").missing == ("", "?", "NA")
    assert checked_form(",", "auto", "").missing == ("",)
    for separator, decimal in (("ab", "."), ('"', "."), (",", "comma"), (";", "x")):
        with pytest.raises(UsageError, match=r"separator=|decimal="):
            checked_form(separator, decimal, "usual")
