"""The distinct values of a column, as they are met piece by piece."""

from __future__ import annotations

from array import array as packed
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encodings.table import Value, ValueType
from erasurehead.datasets.sources import pyarrow
from erasurehead.datasets.tables.values import INTEGER, as_numpy, is_integer, is_number, is_text

Codes = npt.NDArray[np.int32]
LARGEST_EXACT = 2**53
"""From here on, two whole numbers may be one float."""


class Distinct:
    """Numbers the distinct values of a column in the order in which they come.

    Attributes
    ----------
    values: the values.
    counts: how often each occurs.
    """

    def __init__(self) -> None:
        self._codes: dict[Value, int] = {}
        self._rows = packed("q")
        self._files = packed("i")
        self._paths: list[Path] = []
        self._counts = np.zeros(0, dtype=np.int64)

    @property
    def values(self) -> list[Value]:
        """The distinct values."""
        return list(self._codes)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How often each occurs, shape (values,)."""
        return self._counts[: len(self._codes)]

    def place(self, code: int) -> str:
        """Return where a value came first, in words."""
        return f"row {self._rows[code]} of {self._paths[self._files[code]]}"

    def take(self, array: Any, rows: npt.NDArray[np.int64], path: Path) -> Codes:
        """Return the codes of values, shape (rows,), from rows with these numbers of a file."""
        found = array.dictionary_encode()
        local = as_numpy(found.indices)
        known = self._codes
        before = len(known)
        codes = np.empty(len(found.dictionary), dtype=np.int32)
        for i, value in enumerate(found.dictionary.to_pylist()):
            codes[i] = known.setdefault(value, len(known))
        new = codes >= before
        if new.any():
            first = np.full(len(codes), len(local))
            np.minimum.at(first, local, np.arange(len(local)))
            if not self._paths or self._paths[-1] != path:
                self._paths.append(path)
            self._rows.extend(rows[first[new]].tolist())
            self._files.extend([len(self._paths) - 1] * int(new.sum()))
            self._room()
        mapped = codes[local]
        self._counts[: len(known)] += np.bincount(mapped, minlength=len(known))
        return np.asarray(mapped, dtype=np.int32)

    def _room(self) -> None:
        if len(self._codes) > len(self._counts):
            more = np.zeros(2 * len(self._codes), dtype=np.int64)
            more[: len(self._counts)] = self._counts
            self._counts = more


def kind_of(values: Sequence[Value], decimal: str, *, typed: bool) -> ValueType:
    """Return how the distinct values of a column are compared.

    Parameters
    ----------
    values: all of one Python type.
    decimal: the decimal mark of texts.
    typed: texts are texts, also if all of them are numbers.
    """
    first = next(iter(values), "")
    if isinstance(first, bool):
        return "boolean"
    if isinstance(first, int):
        return "integer"
    if isinstance(first, float):
        return "number"
    texts = [value for value in values if isinstance(value, str)]
    if typed or not texts:
        return "text"
    if {text.casefold() for text in texts} <= {"false", "true"}:
        return "boolean"
    if all(map(is_integer, texts)):
        return "integer"
    if all(is_number(text, decimal) and _without_zeros(text) for text in texts) and not any(
        INTEGER.fullmatch(text) and abs(int(text)) > LARGEST_EXACT for text in texts
    ):
        return "number"
    return "text"


def _without_zeros(text: str) -> bool:
    """Tell whether a number has no zeros before it: 007 is a name."""
    digits = text.lstrip("+-")
    return not (len(digits) > 1 and digits[0] == "0" and digits[1].isdigit())


def as_kind(value: Value, kind: ValueType, decimal: str) -> Value:
    """Return a value as those of its kind are compared.

    Raises
    ------
    ValueError: it is none of that kind.
    """
    if kind == "text":
        return str(value)
    if kind == "boolean":
        return _as_boolean(value)
    if isinstance(value, str):
        if kind == "integer" and is_integer(value.strip()):
            return int(value)
        if not is_number(value, decimal):
            raise ValueError(f"{value} is no number")
        value = float(value.replace(decimal, "."))
    if kind == "number":
        return float(value)
    if isinstance(value, float) and (not value.is_integer() or abs(value) >= LARGEST_EXACT):
        raise ValueError(f"{value} is no whole number")
    return int(value)


def _as_boolean(value: Value) -> bool:
    if not isinstance(value, str):
        if value not in (0, 1):
            raise ValueError(f"{value} is neither true nor false")
        return bool(value)
    folded = value.strip().casefold()
    if folded not in ("false", "true"):
        raise ValueError(f"{value} is neither true nor false")
    return folded == "true"


def in_order(
    values: Sequence[Value], kind: ValueType, decimal: str
) -> tuple[tuple[Value, ...], Codes]:
    """Return the categories in sorted order, and the place of each value among them.

    Values that are equal as values of this kind (1 and 1.0 as numbers) are one category.
    """
    as_they_are = [as_kind(value, kind, decimal) for value in values]
    ordered = sorted(set(as_they_are))
    place = {value: i for i, value in enumerate(ordered)}
    codes = np.array([place[value] for value in as_they_are], dtype=np.int32)
    return tuple(ordered), codes


class Known:
    """Finds the codes of values among the categories that training had."""

    def __init__(self, values: Sequence[Value], kind: ValueType, decimal: str) -> None:
        self._kind, self._decimal = kind, decimal
        self._codes = {value: code for code, value in enumerate(values)}

    def codes(self, array: Any) -> Codes:
        """Return the code of each value, -1 for a stranger, shape (rows,)."""
        if self._kind == "text" and not is_text(array):
            array = array.cast(pyarrow().string())
        found = array.dictionary_encode()
        local = as_numpy(found.indices)
        codes = [self._code(value) for value in found.dictionary.to_pylist()]
        return np.asarray(np.array(codes, dtype=np.int32)[local])

    def _code(self, value: Value) -> int:
        try:
            return self._codes.get(as_kind(value, self._kind, self._decimal), -1)
        except (ValueError, OverflowError):
            return -1
