"""Rows that a run has not seen, read as its model knows them and by what they are, not by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from erasurehead.datasets.alike import read_alike
from erasurehead.datasets.content import Content, content_of
from erasurehead.datasets.encodings import Encoding
from erasurehead.datasets.encodings.npy import NpyEncoding
from erasurehead.datasets.encodings.svmlight import SvmlightEncoding
from erasurehead.datasets.encodings.table import TableEncoding
from erasurehead.datasets.labels import comparable_labels, labels_alike
from erasurehead.datasets.manifest import MANIFEST
from erasurehead.datasets.matrix_file import as_rows, read_matrix
from erasurehead.datasets.store import Store
from erasurehead.datasets.svmlight_file import read_svmlight
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows
from erasurehead.runs.reader import Run

FirstColumn = Literal[0, 1]


@dataclass(frozen=True)
class Reading:
    """How rows are read where the model does not know it better.

    Attributes
    ----------
    split: which rows of a store.
    first_column: the number of the first column in a svmlight file; None: what training noted, or
        else 0 if the file has a column 0.
    constant: whether the model has a constant column after those of a svmlight file or a matrix.
    """

    split: Literal["test", "train"] = "test"
    first_column: FirstColumn | None = None
    constant: bool = True


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows as those of the run's store.

    Attributes
    ----------
    rows: labels are nan where there are none.
    classes: what the classes are called, in the order of their labels; empty if nobody knows.
    told: what a user should know of how they were read, a sentence each.
    """

    rows: CsrRows
    classes: tuple[str, ...]
    told: tuple[str, ...] = ()


def check_meaning(store: Store, own: str, trained: object) -> None:
    """Refuse a store whose columns stand for something else than those of a model.

    Parameters
    ----------
    own: the meaning of the model's (`Manifest.meaning`); empty: it is of a program that did not
        keep it, and is taken as it is.
    trained: names the run in messages.

    Raises
    ------
    DataError: they do.
    """
    if own and own != store.manifest.meaning:
        raise DataError(
            f"the columns of {store.path} stand for other categories or scales than those that"
            f" {trained} was trained on, although they may be as many; give rows of the same"
            " prepared table"
        )


def read_rows(run: Run, source: str, reading: Reading) -> NewRows:
    """Read a store, a table, a svmlight file or a matrix for a run's model.

    A model holds the encoding of its data. For one of an earlier version, the store that it was
    trained on is asked, if it is still there.

    Raises
    ------
    DataError: there is nothing to read, or it is not like the data of the run.
    UsageError: a library for it is missing.
    """
    path = Path(source)
    n_columns = run.learnt.n_columns
    remote = "://" in source
    if not remote and not path.exists():
        raise DataError(
            f"{source} is not there; give a store, a table, a svmlight file or a matrix to predict"
        )
    if remote or (path / MANIFEST).exists():
        store = Store.open(source)
        check_meaning(store, _meaning(run), run.path)
        rows = store.train if reading.split == "train" else store.test
        classes = run.origin.classes if run.origin else ()
        found = NewRows(rows, classes or store.manifest.classes)
    else:
        found = _read_file(run, path, reading)
    if found.rows.n_columns != n_columns:
        raise DataError(
            f"{source} has {found.rows.n_columns} columns, but the model of {run.path} has"
            f" {n_columns}; give data prepared like the run's own"
        )
    if not len(found.rows.labels):
        other = "train" if reading.split == "test" else "test"
        raise DataError(
            f"{source} has no rows to predict; give one at least, or of a store --split {other}"
        )
    return found


def _read_file(run: Run, path: Path, reading: Reading) -> NewRows:
    content: Content | Literal["directory"] = "directory" if path.is_dir() else content_of(path)
    if content == "array" or content == "arrays":
        encoding, classes = (None, ()) if run.origin is None else _known(run, path, content)
        if isinstance(encoding, NpyEncoding):
            return NewRows(read_alike(encoding, path).rows, classes)
        return NewRows(_matrix(run, path, reading, encoding), classes)
    encoding, classes = _known(run, path, content)
    if isinstance(encoding, NpyEncoding):
        raise DataError(
            f"{path} is no array, and {run.path} was trained on arrays of shape {encoding.shape};"
            " give a .npy file of such rows, or a store"
        )
    if isinstance(encoding, TableEncoding):
        found = read_alike(encoding, path)
        return NewRows(
            found.rows,
            encoding.classes,
            tuple(
                f"rows with a '{column}' that training had not: {count} (predicted without it)"
                for column, count in found.strangers.items()
            ),
        )
    if content == "directory" or content == "parquet":
        raise DataError(
            f"{path} is no store{' and no text' * (content == 'parquet')}, and the model of"
            f" {run.path} does not know the columns of a table, because it was not trained on one;"
            " give a store, a svmlight file or a matrix"
        )
    return _svmlight(run, path, reading, encoding, classes)


def _known(run: Run, path: Path, content: str) -> tuple[Encoding | None, tuple[str, ...]]:
    """Return the encoding of the run's data and the names of its classes."""
    if run.origin is not None:
        return run.origin.encoding, run.origin.classes
    try:
        store = Store.open(run.settings.problem.store)
        check_meaning(store, _meaning(run), run.path)
    except (DataError, UsageError) as error:
        if content == "svmlight":
            return None, ()
        raise DataError(
            f"{path} must be encoded as the store was that {run.path} was trained on, and a model"
            f" of its version does not hold how: {error}"
        ) from None
    return store.encoding, store.manifest.classes


def _meaning(run: Run) -> str:
    return str(run.model.get("meaning", ""))


def _matrix(run: Run, path: Path, reading: Reading, encoding: Encoding | None) -> CsrRows:
    matrix = read_matrix(path)
    wanted, width = run.learnt.n_columns, matrix.shape[1]
    if width == wanted:
        return as_rows(matrix, constant=False)
    if isinstance(encoding, TableEncoding):
        raise DataError(
            f"{path} has {width} columns without names, and the model of {run.path} was trained on"
            f" a table; give a table, or its {wanted} encoded columns"
        )
    if width != wanted - 1 or not reading.constant:
        either = f"{wanted - 1} (and a constant one) or " if reading.constant else ""
        raise DataError(
            f"{path} has {width} columns, but the model of {run.path} has {either}{wanted}; give as"
            " many as in training"
        )
    return as_rows(matrix, constant=True)


def _svmlight(
    run: Run,
    path: Path,
    reading: Reading,
    encoding: SvmlightEncoding | None,
    classes: tuple[str, ...],
) -> NewRows:
    first = reading.first_column
    if encoding is not None and reading.constant:
        chosen = encoding if first is None else replace(encoding, first_column=first)
        return NewRows(read_alike(chosen, path).rows, classes)
    if encoding is not None and first is None:
        first = encoding.first_column
    matrix, labels, told = _read_svmlight(run, path, first, constant=reading.constant)
    target = run.learnt.target
    if encoding is not None:
        labels = labels_alike(labels, encoding.labels, encoding.classes, path)
    else:
        labels = comparable_labels(labels, target, str(path))
    return NewRows(as_rows(matrix, labels, constant=reading.constant), classes, told)


def _read_svmlight(
    run: Run, path: Path, first: FirstColumn | None, *, constant: bool
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return a file that no encoding says how to read: matrix, labels, and what was assumed."""
    features = run.learnt.n_columns - constant
    ((matrix, labels),) = read_svmlight([path])
    has_zero = bool(np.any(matrix.indices == 0))
    counts_from = first if first is not None else (0 if has_zero else 1)
    wrong = ""
    if counts_from == 1 and has_zero:
        wrong = "it has a column 0, so it cannot count from 1"
    elif matrix.shape[1] > features + counts_from:
        wrong = f"it has a column {matrix.shape[1] - 1}"
    if wrong:
        raise DataError(
            f"{path} is not a svmlight file of {features} columns: {wrong}; give one, or a store or"
            f" a matrix, like the data that {run.path} was trained on"
        )
    matrix.resize(len(labels), features + counts_from)
    told: tuple[str, ...] = ()
    if first is None and not has_zero:
        told = (
            f"{path} has no column 0, so its columns are taken to count from 1; --first-column 0"
            " says otherwise",
        )
    return matrix[:, counts_from : counts_from + features], labels, told
