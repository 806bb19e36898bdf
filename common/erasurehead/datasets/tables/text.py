"""Tables in text files (CSV and the like), read in pieces."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from erasurehead.datasets.encodings.table import TextForm
from erasurehead.datasets.sources import open_plain
from erasurehead.datasets.tables.block_parser import BlockParser
from erasurehead.datasets.tables.pieces import Piece
from erasurehead.datasets.tables.structure import (
    SEPARATORS,
    fields,
    find_decimal,
    find_separator,
    sample_rows,
)
from erasurehead.errors import DataError, UsageError
from erasurehead.process.ahead import mapped_ahead

BLOCK_BYTES = 1 << 21
SAMPLE_BYTES = 1 << 16
LONGEST_ROW = 1 << 26
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextTable:
    """A table in one or several text files, each with the same header.

    Parameters
    ----------
    paths: at least one.
    form: how they are written; a separator or decimal of ``auto`` is found from the first lines of
        the first file.

    Raises
    ------
    DataError: a file cannot be read, has no header, or the first lines do not tell its form.
    """

    def __init__(self, paths: Sequence[Path], form: TextForm) -> None:
        self.path = paths[0] if len(paths) == 1 else paths[0].parent
        self._paths = paths
        self.said: list[str] = []
        sample = _sample(paths[0])
        separator, decimal = form.separator, form.decimal
        if separator == "auto":
            separator = find_separator(sample, paths[0])
            if separator != ",":
                name = SEPARATORS[separator]
                self.said.append(f"fields of {paths[0]} are taken to be separated by {name}")
        if decimal == "auto":
            rows = sample_rows(sample, separator)[1:]
            decimal = "." if separator == "," else find_decimal(rows, paths[0])
            if decimal != ".":
                self.said.append(f"numbers of {paths[0]} are taken to have a decimal comma")
        self.form = TextForm(separator, decimal, form.missing)
        header = _Header(paths[0], separator)
        self.names = [name for name in header.names if name]
        unnamed = [str(i + 1) for i, name in enumerate(header.names) if not name]
        if unnamed:
            self.said.append(
                f"column {', '.join(unnamed)} of {paths[0]} has no name in the header and is left"
                " out"
            )

    def pieces(self, wanted: Sequence[str], numbers: Container[str] = ()) -> Iterator[Piece]:
        """Yield the rows; see `Table`."""
        for path in self._paths:
            header = _Header(path, self.form.separator)
            for name in wanted:
                if name not in header.names:
                    raise DataError(f"{path} has no column '{name}', as {self._paths[0]} has")
            yield from _pieces(BlockParser(path, header.names, self.form, wanted), header, numbers)


class _Header:
    """The names of a file's columns (empty: it has none), and where its rows begin."""

    def __init__(self, path: Path, separator: str) -> None:
        sample = _sample(path)
        line, row = next(fields(sample, separator), (0, []))
        if not any(row):
            raise DataError(
                f"{path} cannot be read as a table: No columns to parse; give a header of names and"
                " rows"
            )
        self.names = [name.strip() for name in row]
        self.lines = line


def _sample(path: Path) -> str:
    """Return the first lines of a file."""
    with open_plain(path) as file:
        first = file.read(SAMPLE_BYTES)
        if len(first) == SAMPLE_BYTES:
            first = first[: first.rfind(b"\n") + 1] or first
    if first.startswith(UTF16_MARKS):
        raise DataError(f"{path} cannot be read as a table: it is UTF-16 text; convert it to UTF-8")
    if b"\r" in first and b"\n" not in first:
        raise DataError(
            f"{path} cannot be read as a table: its lines end as on old Macs, with CR alone;"
            " convert it, for example with tr '\\r' '\\n'"
        )
    return first.removeprefix(UTF8_MARK).decode("utf-8", errors="replace")


def _pieces(parser: BlockParser, header: _Header, numbers: Container[str]) -> Iterator[Piece]:
    row = 1
    with open_plain(parser.path) as file:
        for _ in range(header.lines):
            file.readline()
        blocks = _numbered(_blocks(file), header.lines + 1)
        for line, block in blocks:
            parser.learn(block)
            blocks = itertools.chain([(line, block)], blocks)
            break

        def parse(numbered: tuple[int, bytes]) -> Mapping[str, Any]:
            return parser.columns(*numbered, [n for n in parser.wanted if n in numbers])

        for columns in mapped_ahead(parse, blocks):
            n_rows = len(next(iter(columns.values())))
            yield Piece(parser.path, np.arange(row, row + n_rows, dtype=np.int64), columns)
            row += n_rows


def _numbered(blocks: Iterable[bytes], line: int) -> Iterator[tuple[int, bytes]]:
    """Yield blocks with the number of their first line."""
    for block in blocks:
        yield line, block
        line += block.count(b"\n")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield whole rows: a block ends with a line that leaves no quotation mark open."""
    rest = b""
    while True:
        read = file.read(BLOCK_BYTES)
        block = rest + read
        if not read:
            if block:
                yield block
            return
        end = _end_of_rows(block)
        if end:
            yield block[:end]
        rest = block[end:]


def _end_of_rows(block: bytes) -> int:
    """Return where the last row ends in a block that begins with one; 0 if none does.

    Quotation marks before an end of rows are even in number. A mark that stands alone inside a
    field breaks that; beyond `LONGEST_ROW` bytes, any line is an end.
    """
    end = block.rfind(b"\n") + 1
    if b'"' not in block or len(block) > LONGEST_ROW:
        return end
    while end and block.count(b'"', 0, end) % 2:
        # Back to before the mark that is open.
        end = block.rfind(b"\n", 0, block.rfind(b'"', 0, end)) + 1
    return end


def checked_form(separator: str, decimal: str, missing: str) -> TextForm:
    """Return what a user says of text files: options of `prepare csv`.

    Raises
    ------
    UsageError: no separator or decimal mark.
    """
    named = {"auto": "auto", "tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
    one = named.get(separator, separator)
    if one != "auto" and (len(one) != 1 or one in '"\n\r'):
        raise UsageError(
            f"separator={separator} is no single character; give for example separator=; or"
            " separator=tab"
        )
    mark = {"auto": "auto", "comma": ",", "point": "."}.get(decimal, decimal)
    if mark not in ("auto", ".", ",") or (mark == one and mark != "auto"):
        raise UsageError(
            f"decimal={decimal} cannot be the decimal mark; give decimal=. or decimal=comma (with"
            " another separator)"
        )
    default = TextForm()
    if missing != "usual":
        return TextForm(one, mark, ("", *(m for m in missing.split("+") if m)))
    return TextForm(one, mark, default.missing)
