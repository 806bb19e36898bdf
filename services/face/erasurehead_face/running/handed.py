"""What a user hands in to be learnt from: a store, or arrays that become one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.manifest import FORMAT_VERSION, Manifest, Provenance
from erasurehead.datasets.store import Store, write_store
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows, Target
from erasurehead.runs.origin import ClassType
from erasurehead_face.running.arrays import check_names, names_of, permuted, rows_of, taken
from erasurehead_face.running.real_numbers import check_size, numbers_of
from erasurehead_face.running.targets import Targets

ARRAYS = "arrays"
"""What stands for the store's location in the settings of a run on arrays."""

CLASS_TYPES: dict[str, ClassType] = {"b": "bool", "i": "int", "u": "int", "f": "float"}
"""What classes are by the kind of numpy's type; of others only texts are kept."""

PROVENANCE = Provenance("arrays from Python", "", "arrays-1")


@dataclass(frozen=True, eq=False)
class Handed:
    """Rows from arrays, in random order.

    Attributes
    ----------
    target: what labels are.
    classes: what the user calls the classes, in the order of their labels; None: numbers.
    columns: what a data frame calls its columns; None: they have no names.
    """

    train: CsrRows
    test: CsrRows
    target: Target
    classes: Array | None
    columns: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as texts."""
        return () if self.classes is None else tuple(str(name) for name in self.classes)

    @property
    def class_type(self) -> ClassType:
        """What the texts of the classes stand for."""
        return "str" if self.classes is None else CLASS_TYPES.get(self.classes.dtype.kind, "str")

    @property
    def n_bytes(self) -> int:
        """Bytes of the store that `write` makes, about."""
        parts = (self.train, self.test)
        return sum(20 * len(p.indices) + 32 * len(p.labels) for p in parts) + 8 * (
            self.train.n_columns
        )

    def store(self) -> Store:
        """Return a store that lies in memory, for planning and for runs in this process."""
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            name=ARRAYS,
            target=self.target,
            classes=self.class_names,
            rows=len(self.train.labels),
            columns=self.train.n_columns,
            nnz=len(self.train.indices),
            test_rows=len(self.test.labels),
            test_nnz=len(self.test.indices),
            values_are_ones=self.train.values is None,
            arrays={},
            digest=ARRAYS,
            encoding=None,
            provenance=PROVENANCE,
        )
        return Store(Path(ARRAYS), manifest, self.train, self.test)

    def write(self, path: Path) -> Store:
        """Write the store for worker processes."""
        return write_store(
            path,
            ARRAYS,
            self.target,
            self.train,
            self.test,
            PROVENANCE,
            self.class_names,
        )


def hand_in(
    X: Any,
    y: Any,
    *,
    model: str | None = None,
    sample_weight: Any = None,
    offset: Any = None,
    test: tuple[Any, Any] | None = None,
    seed: int = 0,
) -> Handed:
    """Return the rows of arrays; nothing that was handed in is changed.

    Parameters
    ----------
    model: the model's text, if the user named one.
    sample_weight, offset: one number a row, or None.
    test: a matrix and its labels.
    seed: for the order of the rows.

    Raises
    ------
    UsageError: what is wrong with them, in a sentence.
    """
    targets = Targets.of(y, model)
    rows = rows_of(X, targets.labels)
    weights = None if sample_weight is None else weights_of(sample_weight, len(rows.labels))
    offsets = None if offset is None else _offsets_of(offset, len(rows.labels))
    rows = permuted(replace(rows, weights=weights, offsets=offsets), seed)
    columns = names_of(X)
    tested = taken(rows, np.arange(0)) if test is None else _test_rows(test, rows, targets, columns)
    if (rows.values is None) != (tested.values is None):
        rows, tested = _spelt_out(rows), _spelt_out(tested)
    return Handed(rows, tested, targets.target, targets.classes, columns)


def weights_of(given: Any, n_rows: int) -> FloatArray:
    """Return weights of rows, shape (rows,).

    Raises
    ------
    DataError: they are not one finite number of at least 0 a row, or all are 0.
    """
    weights = _per_row(given, n_rows, "sample_weight")
    if (weights < 0).any():
        raise DataError(
            f"sample_weight has the negative weight {weights[weights < 0][0]:g}; give weights of at"
            " least 0"
        )
    if not weights.any():
        raise DataError("sample_weight is 0 in every row; give one row at least a weight above 0")
    return weights


def _offsets_of(given: Any, n_rows: int) -> FloatArray:
    return _per_row(given, n_rows, "offset")


def _per_row(given: Any, n_rows: int, what: str) -> FloatArray:
    numbers = np.array(numbers_of(given, what, "give one number a row"))
    if numbers.ndim == 0:
        numbers = np.full(n_rows, float(numbers))
    if numbers.shape != (n_rows,):
        raise DataError(
            f"{what} has shape {numbers.shape} and X has {n_rows} rows; give one number a row"
        )
    check_size(numbers, what)
    return numbers


def _test_rows(
    test: tuple[Any, Any], rows: CsrRows, targets: Targets, columns: tuple[str, ...] | None
) -> CsrRows:
    try:
        matrix, labels = test
    except (TypeError, ValueError):
        raise UsageError("test is no pair of a matrix and its labels; give test=(X, y)") from None
    tested = rows_of(matrix, targets.alike(labels, "y of test"), "X of test")
    if tested.n_columns != rows.n_columns:
        raise DataError(
            f"X of test has {tested.n_columns} columns and X has {rows.n_columns}; give both the"
            " same columns"
        )
    check_names(names_of(matrix), columns, "X of test", "X")
    n = len(tested.labels)
    return replace(
        tested,
        weights=None if rows.weights is None else np.ones(n),
        offsets=None if rows.offsets is None else np.zeros(n),
    )


def _spelt_out(rows: CsrRows) -> CsrRows:
    return rows if rows.values is not None else replace(rows, values=np.ones(len(rows.indices)))
