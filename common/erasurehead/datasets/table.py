"""Any CSV or Parquet table with a target column."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import Codes, Encoded, codes_of, one_hot_rows, split
from erasurehead.datasets.encodings.table import (
    Categories,
    Numbers,
    TableEncoding,
    Value,
    ValueType,
)
from erasurehead.datasets.frames import complete, numbers, read_table
from erasurehead.datasets.labels import Coded, KindOrAuto, code_classes, target_of
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import pandas, read_plain
from erasurehead.errors import DataError, UsageError
from erasurehead.registry import nearest


class TablePreset(Preset):
    """Categorical columns one-hot, numeric columns standardised, and a constant.

    Without lists, columns of text are categorical and columns of numbers numeric. Lists are
    separated by `+`. labels=auto makes two classes of a target with two distinct values, of which
    the larger (in sorted order) becomes +1, classes of a target of text or of few whole numbers,
    and takes other targets as numbers. weight= names the column that says what a row counts for,
    offset= the one that is added to the model's output.
    """

    name = "csv"
    encoding = "table-3"

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        target: str,
        categorical: str = "",
        numeric: str = "",
        labels: KindOrAuto = "auto",
        weight: str = "",
        offset: str = "",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare csv needs a table: give a CSV or Parquet file with --from")
        self._path = source
        self._target = target
        self._categorical = [c for c in categorical.split("+") if c]
        self._numeric = [c for c in numeric.split("+") if c]
        self._kind = labels
        self._weight = weight
        self._offset = offset

    def options(self) -> dict[str, str]:
        """Return the columns and what labels are."""
        return {
            "target": self._target,
            "categorical": "+".join(self._categorical),
            "numeric": "+".join(self._numeric),
            "labels": self._kind,
            "weight": self._weight,
            "offset": self._offset,
        }

    def source_sha256(self) -> str:
        """Return the digest of the file."""
        return hashlib.sha256(read_plain(self._path)).hexdigest()

    def encode(self) -> Encoded:
        """Return the rows."""
        frame = read_table(self._path)
        categorical, numeric = self._columns(frame)
        if len(frame) < 2:
            raise DataError(
                f"{self._path} has {len(frame)} rows; at least 2 are needed, one to train and one"
                " to test"
            )
        per_row = [c for c in (self._weight, self._offset) if c]
        for column in (*categorical, *numeric, self._target, *per_row):
            complete(frame, column, self._path)
        coded, target_type = self._labels(frame[self._target])
        codes = [_codes(frame[c])[:2] for c in categorical]
        scaled = [self._numbers(frame[c]) for c in numeric]
        train, _ = split(len(frame))
        encoding = TableEncoding(
            self._target,
            target_type,
            coded.target,
            coded.classes,
            tuple(
                Categories(c, _type_of(frame[c]), tuple(_distinct(frame[c]))) for c in categorical
            ),
            tuple(
                Numbers(c, float(found[train].mean()), float(found[train].std()))
                for c, found in zip(numeric, scaled, strict=True)
            ),
            self._weight or None,
            self._offset or None,
        )
        encoded = one_hot_rows(
            codes,
            scaled,
            coded.labels,
            coded.target,
            weights=self._weights(frame) if self._weight else None,
            offsets=self._numbers(frame[self._offset]) if self._offset else None,
        )
        return replace(encoded, classes=coded.classes, encoding=encoding)

    def _weights(self, frame: Any) -> npt.NDArray[np.float64]:
        weights = self._numbers(frame[self._weight])
        below = weights < 0
        if below.any():
            row = int(below.argmax())
            raise DataError(
                f"weight '{self._weight}' of {self._path} is {weights[row]:g} in row {row + 1};"
                " give weights that are not below 0"
            )
        if not weights.any():
            raise DataError(
                f"weight '{self._weight}' of {self._path} is 0 in every row; give at least one row"
                " a weight above 0"
            )
        return weights

    def _columns(self, frame: Any) -> tuple[list[str], list[str]]:
        known = [str(c) for c in frame.columns]
        per_row = [c for c in (self._weight, self._offset) if c]
        for column in (self._target, *self._categorical, *self._numeric, *per_row):
            if column not in known:
                raise UsageError(
                    f"{self._path} has no column '{column}'{nearest(column, known)};"
                    f" its columns: {', '.join(known)}"
                )
        for column in (*self._categorical, *self._numeric, *per_row):
            if column == self._target:
                raise UsageError(
                    f"column '{column}' is the target and cannot be a feature, weight or offset as"
                    " well"
                )
        both = set(self._categorical) & set(self._numeric)
        if both:
            raise UsageError(f"column '{min(both)}' is named both categorical and numeric")
        if self._categorical or self._numeric:
            return self._categorical, self._numeric
        free = [c for c in known if c not in (self._target, *per_row)]
        numeric = [c for c in free if frame[c].dtype.kind in "iuf"]
        categorical = [c for c in free if c not in numeric]
        return categorical, numeric

    def _numbers(self, column: Any) -> npt.NDArray[np.float64]:
        return numbers(column, self._path, "name it in categorical=")

    def _labels(self, target: Any) -> tuple[Coded, ValueType]:
        codes, count, first = _codes(target)
        counts = np.bincount(codes, minlength=count)
        is_text = target.dtype.kind not in "iufb"
        whole = target.dtype.kind in "iu"
        meant = target_of(self._kind, counts, text=is_text, whole=whole)
        what = f"target '{self._target}' of {self._path}"
        if meant == "numbers":
            if is_text:
                raise DataError(
                    f"{what} holds text in {count} distinct values; labels must be numbers, or"
                    " classes"
                )
            return Coded(self._numbers(target), "numbers"), "number"
        if self._kind == "auto" and meant == "classes" and whole:
            self.assumed.append(
                f"{what} has {count} distinct whole numbers, which are taken for classes;"
                " labels=numbers takes them for a quantity"
            )
        names = [str(target.iloc[row]) for row in first]
        return code_classes(codes, counts, names, meant, what), _type_of(target)


def _codes(column: Any) -> tuple[Codes, int, npt.NDArray[np.int64]]:
    """Return the codes of a column, their count, and a row of each."""
    values = column.to_numpy()
    if values.dtype.kind in "iufb":
        codes, count = codes_of(values)
    else:
        codes, distinct = pandas().factorize(column.astype(str), sort=True)
        codes, count = codes.astype(np.int32), len(distinct)
    _, first = np.unique(codes, return_index=True)
    return codes, count, first


def _distinct(column: Any) -> list[Value]:
    """Return what a categorical column holds, in order."""
    if column.dtype.kind in "iufb":
        return [value.item() for value in np.unique(column.to_numpy())]
    return sorted(set(column.astype(str)))


def _type_of(column: Any) -> ValueType:
    types: dict[str, ValueType] = {"i": "integer", "u": "integer", "f": "number", "b": "boolean"}
    return types.get(column.dtype.kind, "text")
