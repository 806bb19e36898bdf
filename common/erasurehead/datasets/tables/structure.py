"""The structure of a table in a text file: separator, decimal mark, fields a row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from erasurehead.errors import DataError
from erasurehead.words import counted

SEPARATORS = {",": "comma", ";": ";", "\t": "tab", "|": "|"}
SAMPLE_ROWS = 200

POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")


def fields(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row's last line, from 1, and its fields; empty lines are left out.

    Raises
    ------
    csv.Error: a field is longer than 128 KiB, which an open quotation mark makes it.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for row in reader:
        if row:
            yield reader.line_num, row


def sample_rows(text: str, separator: str) -> list[list[str]]:
    """Return the first rows of a text."""
    found: list[list[str]] = []
    try:
        for _, row in fields(text, separator):
            found.append(row)
            if len(found) > SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # what is wrong is said when the rows are read in earnest
    return found


def find_separator(text: str, path: object) -> str:
    """Return what separates the fields of the first lines.

    The one that cuts the header into several fields, and every row into as many (fields beyond that
    are empty all of them). If every row stands by itself, the one that cuts the header.

    Raises
    ------
    DataError: two would do.
    """
    cut = {s: rows for s in SEPARATORS if len((rows := sample_rows(text, s) or [[]])[0]) > 1}
    whole = [s for s, rows in cut.items() if all(_fits(row, len(rows[0])) for row in rows[1:])]
    found = whole or list(cut)
    if len(found) > 1:
        told = " and ".join(repr(s) for s in found[:2])
        raise DataError(
            f"the fields of {path} may be separated by {told}; say which with separator="
        )
    return found[0] if found else ","


def _fits(row: Sequence[str], width: int) -> bool:
    return len(row) >= width and not any(row[width:])


def find_decimal(rows: Sequence[Sequence[str]], path: object) -> str:
    """Return the decimal mark of the numbers in some rows (a point if there are none with any).

    Raises
    ------
    DataError: commas in numbers may as well part the thousands.
    """
    values = [value for row in rows for value in row]
    commas = [value for value in values if COMMA.fullmatch(value)]
    if not commas or any(POINT.fullmatch(value) for value in values):
        return "."
    if all(THOUSANDS.fullmatch(value) for value in commas):
        raise DataError(
            f"numbers of {path} such as {commas[0]} may have a decimal comma or part the"
            " thousands; say decimal=, or decimal=. (and write them without commas)"
        )
    return ","


def repaired(text: str, separator: str, width: int, first_line: int, path: object) -> bytes:
    """Return rows with as many fields as the header has; fields beyond are left out if empty.

    Parameters
    ----------
    text: whole rows.
    width: fields of the header.
    first_line: the number of the text's first line in the file.

    Raises
    ------
    DataError: a row has fewer fields, or more that are not empty; it is named by its line.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    line = 0
    try:
        for line, row in fields(text, separator):
            if not _fits(row, width):
                raise DataError(_misfit(row, width, separator, first_line + line - 1, path))
            writer.writerow(row[:width])
    except csv.Error as error:
        raise DataError(
            f"{path} cannot be read as a table: {error}, in the row after line"
            f" {first_line + line - 1}; close the quotation mark that is open there"
        ) from None
    return out.getvalue().encode()


def _misfit(row: Sequence[str], width: int, separator: str, last: int, path: object) -> str:
    """Return the sentence on a row of other fields than the header has; it ends in line `last`."""
    # An open mark may take the end of the last line along, after which there is no other.
    begun = last - sum(value.count("\n") for value in row) + row[-1].endswith("\n")
    has = f"{counted(len(row), 'field')}, the header {width}; give every row as many"
    if begun < last:
        return (
            f"the row that begins in line {begun} of {path} and ends in line {last} has {has}"
            " (a quotation mark that is open goes on over the ends of lines: close it)"
        )
    return (
        f"line {last} of {path} has {has} (a field that holds a"
        f" {SEPARATORS.get(separator, separator)} needs quotation marks)"
    )
