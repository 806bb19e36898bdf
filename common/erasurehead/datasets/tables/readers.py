"""What a table's columns become while they are read: numbers, or codes of categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.encodings.table import Categories
from erasurehead.datasets.tables.categories import Codes, Distinct, in_order, kind_of
from erasurehead.datasets.tables.values import (
    first_that_is_no_number,
    hidden,
    is_text,
    numbers,
    settled,
    unreadable,
)
from erasurehead.errors import DataError

Rows = npt.NDArray[np.int64]

A_CATEGORY = "name the column in categorical= if each value is a category"


class IsTextError(Exception):
    """A column that was taken for numbers is none, and nobody said that it is."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Reader(Protocol):
    """Takes the values of one column in, piece by piece.

    Attributes
    ----------
    dtype: of what it makes of a value.
    """

    dtype: str

    def take(self, array: Any, rows: Rows, path: Path) -> Array:
        """Return what is kept of values, shape (rows,).

        Parameters
        ----------
        array: settled (`values.settled`), without missing values.
        rows: their numbers in the file at `path`, from 1, shape (rows,).

        Raises
        ------
        DataError: a value does not fit the column.
        IsTextError: the column was taken for numbers, and a value shows that it is text.
        """
        ...


class NumberReader:
    """A column of numbers.

    Parameters
    ----------
    sure: the user said so, or its type does: a value that is none is an error. Otherwise it shows
        that the column is text (`IsTextError`).
    limit: the largest size of a number.

    Attributes
    ----------
    largest: the largest size so far.
    """

    dtype = "<f8"

    def __init__(
        self, name: str, decimal: str, *, sure: bool, advice: str, limit: float = np.inf
    ) -> None:
        self.name = name
        self.largest = 0.0
        self._decimal, self._sure, self._limit = decimal, sure, limit
        self._advice = advice

    def take(self, array: Any, rows: Rows, path: Path) -> FloatArray:
        """Return the numbers; see `Reader`."""
        found = numbers(array, self._decimal)
        if found is None:
            if not self._sure:
                raise IsTextError(self.name)
            at = first_that_is_no_number(array, self._decimal)
            raise DataError(
                f"column '{self.name}' of {path} does not hold numbers: row {rows[at]} has"
                f" '{array[at].as_py()}'; {self._advice}"
            )
        largest = max(-float(found.min(initial=0.0)), float(found.max(initial=0.0)))
        if not np.isfinite(largest):
            row = rows[int((~np.isfinite(found)).argmax())]
            raise DataError(
                f"column '{self.name}' of {path} is infinite in row {row}; give finite numbers"
            )
        if largest > self._limit:
            row = rows[int(np.abs(found).argmax())]
            raise DataError(
                f"column '{self.name}' of {path} is {largest:g} in row {row}, and its square is no"
                " number; give it in a larger unit"
            )
        self.largest = max(self.largest, largest)
        return found


class WeightReader(NumberReader):
    """A column that says what a row counts for."""

    def take(self, array: Any, rows: Rows, path: Path) -> FloatArray:
        """Return the weights; see `Reader`."""
        found = super().take(array, rows, path)
        below = found < 0
        if below.any():
            at = int(below.argmax())
            raise DataError(
                f"weight '{self.name}' of {path} is {found[at]:g} in row {rows[at]}; give weights"
                " that are not below 0"
            )
        return found


class CategoryReader:
    """A column of categories.

    Parameters
    ----------
    typed: texts are texts, also if all of them are numbers.
    sure: the user said so; otherwise a column that nearly is one of numbers or dates is refused.
    """

    dtype = "<i4"

    def __init__(self, name: str, decimal: str, *, typed: bool, sure: bool) -> None:
        self.name = name
        self.distinct = Distinct()
        self._decimal, self._typed, self._sure = decimal, typed, sure
        self._type: Any = None

    def take(self, array: Any, rows: Rows, path: Path) -> Codes:
        """Return the codes; see `Reader`."""
        if self._type is None:
            self._type = array.type
        if array.type != self._type:
            raise DataError(
                f"column '{self.name}' of {path} is of type {array.type}, and before it was of type"
                f" {self._type}; give it one type in all files"
            )
        return self.distinct.take(array, rows, path)

    def finish(self) -> tuple[Categories, Codes]:
        """Return the categories in order, and the place of each code that was given out.

        Raises
        ------
        DataError: the values are nearly all numbers, or dates, and nobody said that they are
            categories.
        """
        values = self.distinct.values
        if not self._sure:
            self.refuse_hidden()
        kind = kind_of(values, self._decimal, typed=self._typed)
        ordered, places = in_order(values, kind, self._decimal)
        return Categories(self.name, kind, ordered), places

    def refuse_hidden(self, otherwise: str = A_CATEGORY) -> None:
        """Raise DataError if the texts are nearly all numbers, or dates.

        `otherwise` is what to do if they are not meant as such.
        """
        values = [value for value in self.distinct.values if isinstance(value, str)]
        found = hidden(values, self.distinct.counts, self._decimal) if values else None
        if found is None:
            return
        what, code = found
        place = self.distinct.place(code)
        if what == "dates":
            raise DataError(
                f"column '{self.name}' holds dates ({place}: '{values[code]}'); make numbers of"
                f" them, or {otherwise}"
            )
        raise DataError(
            f"column '{self.name}' holds numbers, but {place} has '{values[code]}'; correct it, say"
            f" missing={values[code]} if that means a missing value, or {otherwise}"
        )


def settled_column(array: Any, name: str, path: Path, *, categorical: bool) -> Any:
    """Return a column whose values are texts, numbers or booleans (`values.settled`).

    Raises
    ------
    DataError: its type is none of these; dates may be `categorical`.
    """
    what = unreadable(array.type)
    if what is None:
        return settled(array)
    if categorical and what == "dates or times":
        return array.cast("string")
    raise DataError(
        f"column '{name}' of {path} holds {what} ({array.type}), which are neither numbers nor"
        " categories; make such of it, or name the columns to learn from in numeric= and"
        " categorical= without it"
        + (" (in categorical= each date is a category)" if what == "dates or times" else "")
    )


def taken_for_numbers(array: Any, decimal: str, *, typed: bool) -> bool:
    """Tell whether the first values of a column make it one of numbers, if nobody says more."""
    if is_text(array):
        return not typed and numbers(array, decimal) is not None
    return str(array.type) != "bool"
