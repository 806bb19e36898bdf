"""What the columns of a prepared table stand for, so that other rows can be encoded alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.frames import complete, numbers
from erasurehead.datasets.labels import class_labels
from erasurehead.datasets.sources import pandas
from erasurehead.errors import DataError
from erasurehead.rows import CsrRows

COLUMNS = "columns.json"
"""File of a store that was made from a table."""

AS_IN_TRAINING = "give it as in the table that the model was trained on"


@dataclass(frozen=True)
class TableColumns:
    """How a table's columns became columns of a matrix, in their order; the last is constant.

    Attributes
    ----------
    target: name of the column that is predicted.
    classes: what the target's classes are called, in the order of their labels; None: it holds
        numbers.
    categorical: name -> its values, each of which has a column of ones and zeros.
    numeric: name -> mean and deviation, by which numbers are standardised.
    """

    target: str
    classes: tuple[str, ...] | None
    categorical: Mapping[str, list[Any]]
    numeric: Mapping[str, tuple[float, float]]

    @classmethod
    def read(cls, store: Path) -> TableColumns:
        """Read the file of a store.

        Raises
        ------
        DataError: there is none, or it is damaged.
        """
        try:
            held = json.loads((store / COLUMNS).read_bytes())
            return cls(
                held["target"],
                _names(held["classes"]),
                held["categorical"],
                {name: (mean, deviation) for name, (mean, deviation) in held["numeric"].items()},
            )
        except FileNotFoundError:
            raise DataError(
                f"{store} does not say what its columns stand for: it was not made from a table,"
                " or by an earlier version; remove it and make it again (`erasurehead prepare csv`)"
            ) from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(
                f"{store / COLUMNS} is damaged ({error}); remove the store and prepare it again"
            ) from None

    @property
    def meaning(self) -> str:
        """A digest of what the columns stand for (`Manifest.meaning`).

        Another table of the same shape has other categories or scales, and a model of one says
        nothing about the rows of the other.
        """
        told: list[object] = [self.target, self.classes and "\n".join(self.classes[1:])]
        told += [[name, sorted(map(str, values))] for name, values in self.categorical.items()]
        told += [[name, mean, deviation] for name, (mean, deviation) in self.numeric.items()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return (json.dumps(asdict(self), ensure_ascii=False) + "\n").encode()

    def encode(self, frame: Any, path: Path) -> tuple[CsrRows, dict[str, int]]:
        """Encode the rows of a data frame read from `path`.

        Returns
        -------
        The rows, labels nan if there is no target column; and how many rows have a value that was
        not there in training, by column: such a row has no one among that column's.

        Raises
        ------
        DataError: there are no rows, or a column is missing, has missing values, or does not hold
            numbers.
        """
        if not len(frame):
            raise DataError(f"{path} has no rows; give a table with one at least")
        missing = [c for c in (*self.categorical, *self.numeric) if c not in frame.columns]
        if missing:
            raise DataError(
                f"{path} has no column '{missing[0]}', which the model was trained on; its columns:"
                f" {', '.join(map(str, frame.columns))}"
            )
        n_rows, per_row = len(frame), len(self.categorical) + len(self.numeric) + 1
        indices = np.empty((n_rows, per_row), dtype=np.int64)
        values = np.ones((n_rows, per_row))
        unknown: dict[str, int] = {}
        first = 0
        for i, (name, known) in enumerate(self.categorical.items()):
            codes = _codes(complete(frame, name, path), known)
            indices[:, i] = np.where(codes < 0, -1, codes + first)
            if (codes < 0).any():
                unknown[name] = int((codes < 0).sum())
            first += len(known)
        for i, (name, (mean, deviation)) in enumerate(self.numeric.items(), len(self.categorical)):
            scaled = numbers(complete(frame, name, path), path, AS_IN_TRAINING)
            indices[:, i], values[:, i] = first, (scaled - mean) / (deviation or 1.0)
            first += 1
        indices[:, -1] = first
        there = indices >= 0
        rows = CsrRows(
            indptr=np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64),
            indices=indices[there],
            values=values[there] if self.numeric else None,
            labels=self._labels(frame, path),
            n_columns=first + 1,
        )
        return rows, unknown

    def _labels(self, frame: Any, path: Path) -> npt.NDArray[np.float64]:
        if self.target not in frame.columns:
            return np.full(len(frame), np.nan)
        column = complete(frame, self.target, path)
        if self.classes is None:
            return numbers(column, path, AS_IN_TRAINING)
        codes = _codes(column, _as_numbers(self.classes))
        if (codes < 0).any():
            stranger = column.iloc[int((codes < 0).argmax())]
            raise DataError(
                f"target '{self.target}' of {path} has the value {stranger}, but the model tells"
                f" {' from '.join(self.classes)}; leave such rows out"
            )
        return class_labels(codes, len(self.classes))


def _names(classes: list[str] | None) -> tuple[str, ...] | None:
    if classes is not None and len(classes) < 2:
        raise ValueError("a target of fewer than two classes")
    return None if classes is None else tuple(classes)


def _as_numbers(classes: tuple[str, ...]) -> list[Any]:
    """Return the numbers that two names are, so that 1 and 1.0 are the same; else the names."""
    try:
        return [float(name) for name in classes]
    except ValueError:
        return list(classes)


def distinct_values(column: Any) -> list[Any]:
    """Return what a categorical column holds, in order: numbers, or anything else as text."""
    if column.dtype.kind in "iufb":
        return [value.item() for value in np.unique(column.to_numpy())]
    return sorted(set(column.astype(str)))


def _codes(column: Any, known: list[Any]) -> npt.NDArray[np.int64]:
    """Return the place of each value among the known ones, -1 for a stranger."""
    pd = pandas()
    if known and not isinstance(known[0], str):
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        found = pd.Index(np.array(known, dtype=np.float64)).get_indexer(values)
    else:
        found = pd.Index(known).get_indexer(column.astype(str))
    return np.asarray(found, dtype=np.int64)
