"""A table's rows encoded as those that training had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.encodings.table import TableEncoding, Value
from erasurehead.datasets.labels import class_labels
from erasurehead.datasets.tables.categories import Known, as_kind
from erasurehead.datasets.tables.moments import standardised
from erasurehead.datasets.tables.pieces import Piece, Table
from erasurehead.datasets.tables.readers import NumberReader, settled_column
from erasurehead.datasets.tables.source import open_table
from erasurehead.datasets.tables.values import missing
from erasurehead.errors import DataError
from erasurehead.rows import CsrRows
from erasurehead.words import counted, listed

AS_IN_TRAINING = "give it as in the table that the model was trained on"


def encode_alike(encoding: TableEncoding, paths: Sequence[Path]) -> tuple[CsrRows, dict[str, int]]:
    """Return the rows of a table, and how many have a value that training had not, by column.

    Labels are nan where the table has no target, or an empty one. A row with a value that training
    had not has no one among that column's.

    Parameters
    ----------
    paths: files or folders, as `prepare csv` takes them.

    Raises
    ------
    DataError: there are no rows, or a column is missing, has missing values, or does not hold what
        training had there.
    """
    table = open_table(paths, encoding.form)
    alike = _Alike(encoding, table)
    blocks = list(alike.blocks())
    if not blocks:
        raise DataError(f"{table.path} has no rows; give a table with one at least")
    return _joined(blocks), {name: n for name, n in alike.strangers.items() if n}


class _Alike:
    def __init__(self, encoding: TableEncoding, table: Table) -> None:
        self.strangers = {column.name: 0 for column in encoding.categorical}
        self._encoding, self._table = encoding, table
        decimal = encoding.form.decimal if table.form is not None else "."
        self._known = [Known(c.values, c.type, decimal) for c in encoding.categorical]
        self._numbers = {
            name: NumberReader(name, decimal, sure=True, advice=AS_IN_TRAINING)
            for name in (*(c.name for c in encoding.numeric), encoding.offset, encoding.target)
            if name is not None
        }
        classes = [as_kind(name, encoding.target_type, ".") for name in encoding.classes]
        self._classes = Known(classes, encoding.target_type, decimal)
        needed = [c.name for c in encoding.categorical] + [c.name for c in encoding.numeric]
        needed += [] if encoding.offset is None else [encoding.offset]
        for name in needed:
            if name not in table.names:
                raise DataError(
                    f"{table.path} has no column '{name}', which the model was trained on; its"
                    f" columns: {listed(table.names)}"
                )
        self._wanted = needed + ([encoding.target] if encoding.target in table.names else [])
        dates = {c.name for c in encoding.categorical if c.type == "text"}
        self._dates = dates | ({encoding.target} if encoding.target_type == "text" else set())

    def blocks(self) -> Iterator[CsrRows]:
        for piece in self._table.pieces(self._wanted):
            if len(piece.rows):
                yield self._encoded(piece)

    def _encoded(self, piece: Piece) -> CsrRows:
        encoding, n = self._encoding, len(piece.rows)
        columns = {
            name: settled_column(array, name, piece.path, categorical=name in self._dates)
            for name, array in piece.columns.items()
        }
        n_categorical = len(encoding.categorical)
        per_row = n_categorical + len(encoding.numeric) + 1
        indices = np.empty((n, per_row), dtype=np.int64)
        values = np.ones((n, per_row))
        first = 0
        for i, (column, known) in enumerate(zip(encoding.categorical, self._known, strict=True)):
            codes = known.codes(self._complete(columns, column.name, piece))
            indices[:, i] = np.where(codes < 0, -1, codes + first)
            self.strangers[column.name] += int((codes < 0).sum())
            first += len(column.values)
        for i, scale in enumerate(encoding.numeric, n_categorical):
            values[:, i] = self._scaled(columns, scale.name, piece, scale.mean, scale.deviation)
            indices[:, i] = first
            first += 1
        indices[:, -1] = first
        there = indices >= 0
        offset = encoding.offset
        return CsrRows(
            indptr=np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64),
            indices=indices[there],
            values=values[there] if encoding.numeric else None,
            labels=self._labels(columns, piece),
            n_columns=encoding.n_columns,
            offsets=None if offset is None else self._number(columns, offset, piece),
        )

    def _complete(self, columns: dict[str, Any], name: str, piece: Piece) -> Any:
        mask = missing(columns[name], self._marks())
        if mask is not None:
            raise DataError(
                f"column '{name}' of {piece.path} has {counted(int(mask.sum()), 'missing value')},"
                f" the first in row {piece.rows[int(mask.argmax())]}; fill them in or leave the"
                " rows out"
            )
        return columns[name]

    def _marks(self) -> tuple[str, ...]:
        return () if self._table.form is None else self._table.form.missing

    def _number(self, columns: dict[str, Any], name: str, piece: Piece) -> FloatArray:
        array = self._complete(columns, name, piece)
        return self._numbers[name].take(array, piece.rows, piece.path)

    def _scaled(
        self, columns: dict[str, Any], name: str, piece: Piece, mean: float, deviation: float
    ) -> FloatArray:
        found = self._number(columns, name, piece)
        with np.errstate(over="ignore"):
            scaled = standardised(found, mean, deviation)
        far = ~np.isfinite(scaled)
        if far.any():
            at = int(far.argmax())
            raise DataError(
                f"column '{name}' of {piece.path} is {found[at]:g} in row {piece.rows[at]}, which"
                f" is too far from the {mean:g} of training to be encoded; correct it"
            )
        return scaled

    def _labels(self, columns: dict[str, Any], piece: Piece) -> FloatArray:
        """Return the labels of rows; nan where the target is missing."""
        encoding = self._encoding
        labels = np.full(len(piece.rows), np.nan)
        if encoding.target not in columns:
            return labels
        array, rows = columns[encoding.target], piece.rows
        mask = missing(array, self._marks())
        there = np.ones(len(rows), dtype=np.bool_) if mask is None else ~mask
        if mask is not None:
            array, rows = array.filter(there), rows[there]
        labels[there] = self._known_labels(array, rows, piece.path)
        return labels

    def _known_labels(self, array: Any, rows: Array, path: Path) -> FloatArray:
        encoding = self._encoding
        if not encoding.classes:
            return self._numbers[encoding.target].take(array, rows, path)
        codes = self._classes.codes(array)
        if (codes < 0).any():
            at = int((codes < 0).argmax())
            stranger: Value = array[at].as_py()
            raise DataError(
                f"target '{encoding.target}' of {path} has the value {stranger} in row {rows[at]},"
                f" but the model tells {' from '.join(encoding.classes)}; leave such rows out"
            )
        return class_labels(codes, encoding.labels)


def _joined(blocks: Sequence[CsrRows]) -> CsrRows:
    """Return the rows of all blocks."""
    ends = np.cumsum([0, *(int(block.indptr[-1]) for block in blocks)])

    def all_of(name: str) -> Array | None:
        arrays = [getattr(block, name) for block in blocks]
        return None if arrays[0] is None else np.concatenate(arrays)

    pointers = [block.indptr[:-1] + end for block, end in zip(blocks, ends.tolist(), strict=False)]
    joined = {name: all_of(name) for name in ("indices", "values", "labels", "offsets")}
    return CsrRows(
        indptr=np.concatenate([*pointers, ends[-1:]]),
        n_columns=blocks[0].n_columns,
        **joined,  # type: ignore[arg-type]
    )
