"""A table read once from end to end, and encoded block by block in the order of a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.datasets.blocks import RowBlocks
from erasurehead.datasets.encodings.table import Categories, Numbers
from erasurehead.datasets.manifest import COLUMNS_OF_INT32
from erasurehead.datasets.tables.kept import Columns, KeptValues
from erasurehead.datasets.tables.moments import Moments, standardised
from erasurehead.datasets.tables.order import RowOrder
from erasurehead.datasets.tables.readers import CategoryReader, NumberReader
from erasurehead.datasets.tables.target import Labels
from erasurehead.rows import CsrRows


@dataclass(frozen=True, eq=False)
class ReadTable:
    """What is known of a table when it has been read.

    Attributes
    ----------
    values: columns ``t`` for the target, ``w`` and ``o`` for weight and offset, ``c0``, ``c1``, ...
        for codes of categories and ``n0``, ``n1``, ... for numbers.
    labels: what the target is.
    categorical, numeric: the readers of the columns that are learnt from.
    weights, offsets: whether there are any.
    """

    values: KeptValues
    labels: Labels
    categorical: Sequence[CategoryReader]
    numeric: Sequence[NumberReader]
    weights: bool
    offsets: bool


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """The rows of a table, and what its columns became."""

    train: RowBlocks
    test: RowBlocks
    categorical: tuple[Categories, ...]
    numeric: tuple[Numbers, ...]


def encode_table(table: ReadTable) -> EncodedTable:
    """Encode the rows of a table that was read, and split them.

    Raises
    ------
    DataError: there are fewer than two rows, a column is not what it was taken for, or the disk
        has not the room.
    """
    categories, places = [], []
    for reader in table.categorical:
        column, place = reader.finish()
        categories.append(column)
        places.append(place)
    moments = [Moments(reader.largest) for reader in table.numeric]

    def look(training: Columns) -> None:
        for i, moment in enumerate(moments):
            moment.add(training[f"n{i}"])

    order = RowOrder(table.values.n_rows)
    in_order = table.values.in_order(order, look)
    numeric = [
        Numbers(reader.name, moment.mean, moment.deviation)
        for reader, moment in zip(table.numeric, moments, strict=True)
    ]
    encode = _Encoder(table, categories, places, numeric)
    optional = {"values": bool(numeric), "weights": table.weights, "offsets": table.offsets}

    def part(n_rows: int, *, test: bool) -> RowBlocks:
        return RowBlocks(
            n_rows=n_rows,
            nnz=n_rows * encode.per_row,
            n_columns=encode.n_columns,
            arrays=frozenset(name for name, there in optional.items() if there),
            blocks=lambda: map(encode, in_order(test)),
        )

    return EncodedTable(
        part(order.n_rows - order.n_test, test=False),
        part(order.n_test, test=True),
        tuple(categories),
        tuple(numeric),
    )


class _Encoder:
    """Makes rows of the values that were kept."""

    def __init__(
        self,
        table: ReadTable,
        categories: Sequence[Categories],
        places: Sequence[npt.NDArray[np.int32]],
        numeric: Sequence[Numbers],
    ) -> None:
        self._table, self._numeric = table, numeric
        self.per_row = len(categories) + len(numeric) + 1
        firsts = np.cumsum([0, *(len(c.values) for c in categories)])
        self.n_columns = int(firsts[-1]) + len(numeric) + 1
        dtype = np.int32 if self.n_columns < COLUMNS_OF_INT32 else np.int64
        # From a code of a column to its column of the matrix.
        self._columns = [
            (place + first).astype(dtype)
            for place, first in zip(places, firsts.tolist(), strict=False)
        ]
        self._rest = np.arange(firsts[-1], self.n_columns, dtype=dtype)

    def __call__(self, kept: Columns) -> CsrRows:
        n = len(kept["t"])
        indices = np.empty((n, self.per_row), dtype=self._rest.dtype)
        for i, columns in enumerate(self._columns):
            indices[:, i] = columns[kept[f"c{i}"]]
        indices[:, len(self._columns) :] = self._rest
        values: FloatArray | None = None
        if self._numeric:
            # Column by column, for arithmetic on strided values takes twice the time.
            columns_of_values = np.empty((self.per_row, n))
            columns_of_values[: len(self._columns)] = 1.0
            columns_of_values[-1] = 1.0
            for i, scale in enumerate(self._numeric):
                out = columns_of_values[len(self._columns) + i]
                standardised(kept[f"n{i}"], scale.mean, scale.deviation, out)
            values = columns_of_values.T.ravel()
        return CsrRows(
            indptr=np.arange(0, n * self.per_row + 1, self.per_row, dtype=np.int64),
            indices=indices.ravel(),
            values=values,
            labels=self._table.labels.of(kept["t"]),
            n_columns=self.n_columns,
            weights=kept["w"] if self._table.weights else None,
            offsets=kept["o"] if self._table.offsets else None,
        )
