"""A table read from end to end: every column typed as a whole, every value kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.tables.categories import LARGEST_EXACT
from erasurehead.datasets.tables.encoded import ReadTable
from erasurehead.datasets.tables.kept import KeptValues
from erasurehead.datasets.tables.pieces import Piece, Table
from erasurehead.datasets.tables.readers import (
    CategoryReader,
    IsTextError,
    NumberReader,
    Reader,
    WeightReader,
    settled_column,
    taken_for_numbers,
)
from erasurehead.datasets.tables.target import TargetReader
from erasurehead.datasets.tables.values import as_arrow, is_number, is_text, missing
from erasurehead.datasets.tables.values import numbers as as_numbers
from erasurehead.datasets.tables.wanted import Wanted
from erasurehead.errors import DataError
from erasurehead.process.ahead import ahead
from erasurehead.rows import LARGEST_SQUARED
from erasurehead.words import counted

FEWEST_TO_TELL = 20
"""Rows of a table of which it is told that a column says something else in most of them."""

OTHERWISE = (
    "correct it, say missing= if it means a missing value, or name the column in categorical= if"
    " each value is a category"
)


def read_whole(
    table: Table,
    wanted: Wanted,
    directory: Path,
    assumed: list[str],
    progress: Callable[[int], None],
) -> ReadTable:
    """Read a table.

    A column is taken for numbers by its first values, unless somebody says more. If it turns out to
    be text, the table is read once more.

    Parameters
    ----------
    directory: on the disk that has the room for the values.
    assumed: sentences are added on what was taken for granted.
    progress: is told how many rows have been read.

    Raises
    ------
    DataError: a column is not what it should be, or has missing values.
    """
    texts: set[str] = set()
    while True:
        scan = _Scan(table, wanted, directory, texts)
        try:
            return scan.run(assumed, progress)
        except IsTextError as error:
            texts.add(error.name)


@dataclass
class _Missing:
    """Missing values of one column: how many, where the first is, and its text if it has one."""

    count: int = 0
    path: Path = Path()
    row: int = 0
    text: str | None = None


@dataclass
class _Scan:
    table: Table
    wanted: Wanted
    directory: Path
    texts: set[str]
    readers: dict[str, Reader] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, _Missing] = field(default_factory=dict)
    left_out: int = 0
    numbers: set[str] = field(default_factory=set)
    """Columns that are read as numbers, once it is known."""

    @property
    def decimal(self) -> str:
        return "." if self.table.form is None else self.table.form.decimal

    @property
    def typed(self) -> bool:
        return self.table.form is None

    def run(self, assumed: list[str], progress: Callable[[int], None]) -> ReadTable:
        used = self.wanted.used(self.table.names)
        kept: KeptValues | None = None
        n_read = 0
        for piece in ahead(self.table.pieces(used, self.numbers)):
            n_read += len(piece.rows)
            progress(n_read)
            whole = self._complete(self._settled(piece))
            if whole is None or not len(whole.rows):
                continue
            if kept is None:
                self._plan(whole)
                dtypes = {self.places[n]: r.dtype for n, r in self.readers.items()}
                kept = KeptValues(dtypes, self.directory)
            kept.append(
                {
                    self.places[name]: reader.take(whole.columns[name], whole.rows, whole.path)
                    for name, reader in self.readers.items()
                }
            )
        self._refuse_gaps(used)
        n_rows = 0 if kept is None else kept.n_rows
        if kept is None or n_rows < 2:
            raise DataError(
                f"{self.table.path} has {counted(n_rows, 'row')}; at least 2 are needed, one to"
                " train and one to test"
            )
        if self.left_out:
            assumed.append(
                f"{self.left_out:,} of {n_read:,} rows of {self.table.path} have a missing value"
                " and are left out"
            )
        return self._found(kept, assumed)

    def _settled(self, piece: Piece) -> Piece:
        columns = {}
        for name, array in piece.columns.items():
            chosen = name in self.wanted.categorical
            column = settled_column(array, name, piece.path, categorical=chosen)
            columns[name] = self._parsed(name, column)
        return Piece(piece.path, piece.rows, columns)

    def _parsed(self, name: str, array: Any) -> Any:
        """Return a column of texts as numbers, if it is read as such and all of them are.

        Then none of them is missing either, and nobody has to look for that: most columns are so.
        """
        if not is_text(array) or self.numeric_marks or not self._read_as_numbers(name):
            return array
        found = as_numbers(array, self.decimal)
        return array if found is None else as_arrow(found)

    def _read_as_numbers(self, name: str) -> bool:
        if self.readers:
            return name in self.numbers
        if self.typed or name in self.texts or name in self.wanted.categorical:
            return False
        return name != self.wanted.target or self.wanted.kind in ("auto", "numbers")

    @cached_property
    def numeric_marks(self) -> bool:
        """Whether a number may stand for a missing value."""
        return any(is_number(mark, self.decimal) for mark in self.wanted.marks)

    def _complete(self, piece: Piece) -> Piece | None:
        """Return the rows without missing values; None if there are any and they are an error."""
        gone: npt.NDArray[np.bool_] | None = None
        for name, array in piece.columns.items():
            mask = missing(array, self.wanted.marks)
            if mask is not None:
                gone = mask if gone is None else gone | mask
                if not self.wanted.leave_out:
                    self._note_gap(name, piece, mask)
        if gone is None:
            return None if self.gaps else piece
        self.left_out += int(gone.sum())
        return piece.take(~gone) if self.wanted.leave_out else None

    def _note_gap(self, name: str, piece: Piece, mask: npt.NDArray[np.bool_]) -> None:
        gap = self.gaps.setdefault(name, _Missing())
        if not gap.count:
            at = int(mask.argmax())
            gap.path, gap.row = piece.path, int(piece.rows[at])
            gap.text = piece.columns[name][at].as_py() if is_text(piece.columns[name]) else None
        gap.count += int(mask.sum())

    def _refuse_gaps(self, used: Sequence[str]) -> None:
        for name in used:
            if name in self.gaps:
                gap = self.gaps[name]
                told = f" ('{gap.text}'; missing= says which texts are)" if gap.text else ""
                raise DataError(
                    f"column '{name}' of {gap.path} has {counted(gap.count, 'missing value')}, the"
                    f" first in row {gap.row}{told}; fill them in or leave the rows out"
                    " (incomplete=leave-out)"
                )

    def _plan(self, piece: Piece) -> None:
        """Choose a reader for each column by what the user says, and by the first values."""
        wanted, columns = self.wanted, piece.columns
        self._add(
            "t",
            TargetReader(
                wanted.target,
                self.table.path,
                wanted.kind,
                self.decimal,
                text=wanted.target in self.texts,
                typed=self.typed,
            ),
            wanted.target,
        )
        if wanted.weight:
            self._add("w", self._numbers(wanted.weight, WeightReader), wanted.weight)
        if wanted.offset:
            self._add("o", self._numbers(wanted.offset), wanted.offset)
        categorical, numeric = list(wanted.categorical), list(wanted.numeric)
        if not wanted.named:
            for name in wanted.used(self.table.names):
                if name not in self.readers:
                    is_number = name not in self.texts and taken_for_numbers(
                        columns[name], self.decimal, typed=self.typed
                    )
                    (numeric if is_number else categorical).append(name)
        for i, name in enumerate(categorical):
            reader = CategoryReader(name, self.decimal, typed=self.typed, sure=wanted.named)
            self._add(f"c{i}", reader, name)
        for i, name in enumerate(numeric):
            sure = wanted.named or self.typed
            number = NumberReader(name, self.decimal, sure=sure, advice=OTHERWISE)
            self._add(f"n{i}", number, name)

    def _numbers(self, name: str, kind: type[NumberReader] = NumberReader) -> NumberReader:
        return kind(
            name, self.decimal, sure=True, advice="give numbers there", limit=LARGEST_SQUARED
        )

    def _add(self, place: str, reader: Reader, name: str) -> None:
        self.readers[name], self.places[name] = reader, place
        if reader.dtype == NumberReader.dtype:
            self.numbers.add(name)

    def _like_names(self, categorical: Sequence[CategoryReader], n_rows: int) -> Iterator[str]:
        """Yield a sentence on each column of which half of the rows have a value of their own."""
        for reader in categorical:
            once = int((reader.distinct.counts == 1).sum())
            if n_rows >= FEWEST_TO_TELL and once >= n_rows / 2:
                yield (
                    f"column '{reader.name}' of {self.table.path} has a text of its own in"
                    f" {once:,} of {n_rows:,} rows, of which nothing can be learnt for other rows;"
                    " if it holds names or ids, name the columns to learn from in categorical= and"
                    " numeric="
                )

    def _found(self, kept: KeptValues, assumed: list[str]) -> ReadTable:
        wanted = self.wanted
        target = self.readers[wanted.target]
        assert isinstance(target, TargetReader)
        if wanted.weight:
            weight = self.readers[wanted.weight]
            if isinstance(weight, NumberReader) and not weight.largest:
                raise DataError(
                    f"weight '{wanted.weight}' of {self.table.path} is 0 in every row; give at"
                    " least one row a weight above 0"
                )
        features = [r for n, r in self.readers.items() if self.places[n][0] in "cn"]
        numeric = [reader for reader in features if isinstance(reader, NumberReader)]
        assumed += [
            f"column '{reader.name}' of {self.table.path} has numbers of 2^53 and more, which are"
            " rounded; name it in categorical= if they are ids, or in numeric="
            for reader in numeric
            if reader.largest >= LARGEST_EXACT and not wanted.named
        ]
        categorical = [reader for reader in features if isinstance(reader, CategoryReader)]
        if not wanted.named:
            assumed += self._like_names(categorical, kept.n_rows)
        return ReadTable(
            kept,
            target.finish(assumed),
            categorical,
            numeric,
            weights=bool(wanted.weight),
            offsets=bool(wanted.offset),
        )
