"""Any CSV or Parquet table with a target column."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.columns import TableColumns, distinct_values
from erasurehead.datasets.encoding import Codes, Encoded, codes_of, one_hot_rows, split
from erasurehead.datasets.frames import complete, numbers, read_table
from erasurehead.datasets.labels import Coded, KindOrAuto, are_classes, code_classes
from erasurehead.datasets.manifest import MEANING
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import pandas, read_plain
from erasurehead.errors import DataError, UsageError
from erasurehead.registry import nearest


class TablePreset(Preset):
    """Categorical columns one-hot, numeric columns standardised, and a constant.

    Without lists, columns of text are categorical and columns of numbers numeric. Lists are
    separated by `+`. labels=auto makes two classes of a target with two distinct values, of which
    the larger (in sorted order) becomes +1, and takes other targets as numbers.
    """

    name = "csv"
    encoding = "table-2"

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        target: str,
        categorical: str = "",
        numeric: str = "",
        labels: KindOrAuto = "auto",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare csv needs a table: give a CSV or Parquet file with --from")
        self._path = source
        self._target = target
        self._categorical = [c for c in categorical.split("+") if c]
        self._numeric = [c for c in numeric.split("+") if c]
        self._kind = labels

    def options(self) -> dict[str, str]:
        """Return the columns and what labels are."""
        return {
            "target": self._target,
            "categorical": "+".join(self._categorical),
            "numeric": "+".join(self._numeric),
            "labels": self._kind,
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
        for column in (*categorical, *numeric, self._target):
            complete(frame, column, self._path)
        coded = self._labels(frame[self._target])
        self.notes.update(coded.notes)
        codes = [_codes(frame[c]) for c in categorical]
        scaled = [self._numbers(frame[c]) for c in numeric]
        told = self._told(frame, coded.classes, categorical, numeric)
        self.notes[MEANING] = told.meaning
        encoded = one_hot_rows(codes, scaled, coded.labels, coded.target)
        return replace(encoded, columns=told.to_bytes())

    def _told(
        self, frame: Any, classes: tuple[str, ...], categorical: list[str], numeric: list[str]
    ) -> TableColumns:
        """Return what other rows need to be encoded alike."""
        train, _ = split(len(frame))
        scales = {}
        for column in numeric:
            found = self._numbers(frame[column])[train]
            scales[column] = float(found.mean()), float(found.std())
        return TableColumns(
            self._target,
            classes or None,
            {column: distinct_values(frame[column]) for column in categorical},
            scales,
        )

    def _columns(self, frame: Any) -> tuple[list[str], list[str]]:
        known = [str(c) for c in frame.columns]
        for column in (self._target, *self._categorical, *self._numeric):
            if column not in known:
                raise UsageError(
                    f"{self._path} has no column '{column}'{nearest(column, known)};"
                    f" its columns: {', '.join(known)}"
                )
        for column in (*self._categorical, *self._numeric):
            if column == self._target:
                raise UsageError(f"column '{column}' is the target and cannot be a feature as well")
        both = set(self._categorical) & set(self._numeric)
        if both:
            raise UsageError(f"column '{min(both)}' is named both categorical and numeric")
        if self._categorical or self._numeric:
            return self._categorical, self._numeric
        numeric = [c for c in known if frame[c].dtype.kind in "iuf" and c != self._target]
        categorical = [c for c in known if c not in numeric and c != self._target]
        return categorical, numeric

    def _numbers(self, column: Any) -> npt.NDArray[np.float64]:
        return numbers(column, self._path, "name it in categorical=")

    def _labels(self, target: Any) -> Coded:
        codes, count = _codes(target)
        if are_classes(self._kind, count):
            what = f"target '{self._target}' of {self._path}"
            return code_classes(
                codes, count, what, lambda code: str(target.iloc[int((codes == code).argmax())])
            )
        if target.dtype.kind not in "iufb":
            raise DataError(
                f"target '{self._target}' of {self._path} holds text in {count} distinct values;"
                " labels must be numbers, or two classes of exactly two values"
            )
        return Coded(self._numbers(target), "numbers")


def _codes(column: Any) -> tuple[Codes, int]:
    values = column.to_numpy()
    if values.dtype.kind in "iufb":
        return codes_of(values)
    codes, distinct = pandas().factorize(column.astype(str), sort=True)
    return codes.astype(np.int32), len(distinct)
