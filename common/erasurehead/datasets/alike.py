"""Other rows of the kind that was prepared, encoded as preparing decided it then."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, hstack

from erasurehead.arrays import FloatArray
from erasurehead.datasets.encodings import Encoding
from erasurehead.datasets.encodings.svmlight import SvmlightEncoding
from erasurehead.datasets.encodings.table import TableEncoding, Value, ValueType
from erasurehead.datasets.frames import complete, numbers, read_table
from erasurehead.datasets.labels import class_labels, labels_alike
from erasurehead.datasets.sources import pandas, read_plain, sklearn_datasets
from erasurehead.errors import DataError
from erasurehead.rows import CsrRows

AS_IN_TRAINING = "give it as in the table that the model was trained on"


@dataclass(frozen=True, eq=False)
class AlikeRows:
    """Rows encoded as those of a store.

    Attributes
    ----------
    rows: labels are nan where the source has none.
    strangers: how many rows have a value that training had not, by column: such a row has no one
        among that column's.
    """

    rows: CsrRows
    strangers: Mapping[str, int] = field(default_factory=dict)


def read_alike(encoding: Encoding, path: Path) -> AlikeRows:
    """Read a file of the kind that `encoding` was made from: a table, or a svmlight file.

    Raises
    ------
    DataError: the file is no such thing, or not like the one that was prepared.
    """
    if isinstance(encoding, SvmlightEncoding):
        return AlikeRows(_svmlight(encoding, path))
    return _table(encoding, path)


def _table(encoding: TableEncoding, path: Path) -> AlikeRows:
    frame = read_table(path, encoding)
    if not len(frame):
        raise DataError(f"{path} has no rows; give a table with one at least")
    needed = [c.name for c in encoding.categorical] + [c.name for c in encoding.numeric]
    needed += [] if encoding.offset is None else [encoding.offset]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path} has no column '{missing[0]}', which the model was trained on; its columns:"
            f" {', '.join(map(str, frame.columns))}"
        )
    n_rows, per_row = len(frame), len(encoding.categorical) + len(encoding.numeric) + 1
    indices = np.empty((n_rows, per_row), dtype=np.int64)
    values = np.ones((n_rows, per_row))
    strangers: dict[str, int] = {}
    first = 0
    for i, column in enumerate(encoding.categorical):
        codes = _codes(complete(frame, column.name, path), column.type, column.values)
        indices[:, i] = np.where(codes < 0, -1, codes + first)
        if (codes < 0).any():
            strangers[column.name] = int((codes < 0).sum())
        first += len(column.values)
    for i, scale in enumerate(encoding.numeric, len(encoding.categorical)):
        found = numbers(complete(frame, scale.name, path), path, AS_IN_TRAINING)
        indices[:, i], values[:, i] = first, (found - scale.mean) / (scale.deviation or 1.0)
        first += 1
    indices[:, -1] = first
    there = indices >= 0
    rows = CsrRows(
        indptr=np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64),
        indices=indices[there],
        values=values[there] if encoding.numeric else None,
        labels=_labels(encoding, frame, path),
        n_columns=first + 1,
        offsets=None
        if encoding.offset is None
        else numbers(complete(frame, encoding.offset, path), path, AS_IN_TRAINING),
    )
    return AlikeRows(rows, strangers)


def _labels(encoding: TableEncoding, frame: Any, path: Path) -> FloatArray:
    if encoding.target not in frame.columns or frame[encoding.target].isna().all():
        return np.full(len(frame), np.nan)
    known = frame[encoding.target].notna().to_numpy()
    found = np.full(len(frame), np.nan)
    found[known] = _known_labels(encoding, frame[encoding.target][known], path)
    return found


def _known_labels(encoding: TableEncoding, column: Any, path: Path) -> FloatArray:
    if not encoding.classes:
        return numbers(column, path, AS_IN_TRAINING)
    names: tuple[Value, ...] = encoding.classes
    if encoding.target_type in ("integer", "number"):
        names = tuple(map(float, encoding.classes))
    codes = _codes(column, encoding.target_type, names)
    if (codes < 0).any():
        stranger = column.iloc[int((codes < 0).argmax())]
        raise DataError(
            f"target '{encoding.target}' of {path} has the value {stranger}, but the model tells"
            f" {' from '.join(encoding.classes)}; leave such rows out"
        )
    return class_labels(codes, encoding.labels)


def _codes(column: Any, kind: ValueType, known: tuple[Value, ...]) -> npt.NDArray[np.int64]:
    """Return the place of each value among the known ones, -1 for a stranger."""
    pd = pandas()
    if kind in ("integer", "number"):
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        found = pd.Index(np.array(known, dtype=np.float64)).get_indexer(values)
    else:
        found = pd.Index(list(map(str, known))).get_indexer(column.astype(str))
    return np.asarray(found, dtype=np.int64)


def _svmlight(encoding: SvmlightEncoding, path: Path) -> CsrRows:
    read = sklearn_datasets().load_svmlight_file
    try:
        matrix, labels = read(
            io.BytesIO(read_plain(path)),
            n_features=encoding.features,
            zero_based=encoding.first_column == 0,
        )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path} is not a svmlight file of {encoding.features} columns that counts from"
            f" {encoding.first_column}: {reason}; give a file like the one that was prepared"
        ) from None
    with_ones = hstack([matrix, csr_array(np.ones((len(labels), 1)))], format="csr")
    return CsrRows(
        with_ones.indptr.astype(np.int64),
        with_ones.indices,
        with_ones.data,
        labels_alike(labels, encoding.labels, encoding.classes, path),
        encoding.n_columns,
    )
