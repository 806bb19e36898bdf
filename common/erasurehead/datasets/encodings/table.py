"""How a table's columns were read and became columns of a matrix."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from erasurehead.rows import Target

ValueType = Literal["text", "integer", "number", "boolean"]
"""How a column's values are compared: as they are written, as whole numbers of at most 64 bits, as
numbers, or as true and false."""

Value = str | int | float | bool

USUAL_MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
"""What stands for a missing value in a CSV file unless the user says otherwise."""

STRICT = {"extra": "forbid", "allow_inf_nan": False}
"""How pydantic reads the values of this folder: nothing unknown, no infinite number."""


@dataclass(frozen=True)
class Categories:
    """A column of categories: each value has a column of ones and zeros, in this order."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    type: ValueType
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, standardised: less `mean`, over `deviation` (0: it is constant)."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class TextForm:
    """How a text file writes a table; Parquet files have no need of it.

    Attributes
    ----------
    separator: between two fields.
    decimal: between the whole and the fraction of a number.
    missing: the fields that stand for a missing value.
    """

    __pydantic_config__: ClassVar = STRICT
    separator: str = ","
    decimal: str = "."
    missing: tuple[str, ...] = USUAL_MISSING


@dataclass(frozen=True)
class TableEncoding:
    """Everything that preparing a table decided; the last column of the matrix is constant.

    Attributes
    ----------
    target: the column that is learnt.
    target_type: how its values are read.
    labels: what they are.
    classes: what the classes are called, in the order of their labels; empty for numbers.
    categorical, numeric: the columns that are learnt from; those of categories come first.
    weight: the column that says what a row counts for; None: every row counts once.
    offset: the column that is added to a model's output; None: nothing is.
    form: how text files were read.
    """

    __pydantic_config__: ClassVar = STRICT
    target: str
    target_type: ValueType
    labels: Target
    classes: tuple[str, ...]
    categorical: tuple[Categories, ...]
    numeric: tuple[Numbers, ...]
    weight: str | None = None
    offset: str | None = None
    form: TextForm = TextForm()
    kind: Literal["table"] = "table"

    @property
    def n_columns(self) -> int:
        """How many columns the matrix has."""
        return sum(len(c.values) for c in self.categorical) + len(self.numeric) + 1

    @property
    def meaning(self) -> str:
        """A digest of what the matrix' columns and the labels stand for (`Manifest.meaning`).

        Another table of the same shape has other categories or scales, and a model of one says
        nothing about the rows of the other.
        """
        told: list[Any] = [self.target, self.labels, self.classes, self.offset]
        told += [[c.name, c.type, c.values] for c in self.categorical]
        told += [[c.name, c.mean, c.deviation] for c in self.numeric]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
