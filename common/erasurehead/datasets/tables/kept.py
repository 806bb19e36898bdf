"""Values of a table that wait for their order: in memory while they are few, else on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from erasurehead.arrays import Array
from erasurehead.datasets.tables.arranged import PLACE, Arranged
from erasurehead.datasets.tables.order import RowOrder
from erasurehead.datasets.tables.spill import Spill
from erasurehead.process.ahead import ahead

MOST_BYTES = 192 << 20
"""So much is kept in memory."""

PIECE_ROWS = 1 << 15
"""Rows that are looked at together: few enough for their values to stay in a processor's cache."""

Columns = Mapping[str, Array]
"""Arrays of as many values each, by name."""


class KeptValues:
    """Columns of values that come in pieces of rows.

    Parameters
    ----------
    dtypes: of the columns, by name.
    directory: on the disk that has the room for them.

    Attributes
    ----------
    n_rows: so far.
    """

    def __init__(self, dtypes: Mapping[str, str], directory: Path) -> None:
        self.n_rows = 0
        self._directory = directory
        self._dtype = np.dtype([*dtypes.items(), (PLACE, "<i4")])
        self._most_rows = MOST_BYTES // self._dtype.itemsize
        # Memory that nothing was written to yet takes no room.
        self._columns = {
            name: np.empty(self._most_rows, dtype=dtype) for name, dtype in dtypes.items()
        }
        self._spill: Spill | None = None

    def append(self, piece: Columns) -> None:
        """Keep further rows."""
        n_rows = self.n_rows + len(next(iter(piece.values())))
        if n_rows <= self._most_rows:
            for name, values in piece.items():
                self._columns[name][self.n_rows : n_rows] = values
        else:
            if self._spill is None:
                self._spill = Spill(self._dtype, self._directory)
                self._to_disk({name: c[: self.n_rows] for name, c in self._columns.items()})
                self._columns = {}
            self._to_disk(piece)
        self.n_rows = n_rows

    def _to_disk(self, piece: Columns) -> None:
        assert self._spill is not None
        n_rows = len(next(iter(piece.values())))
        for lo in range(0, n_rows, PIECE_ROWS):
            hi = min(n_rows, lo + PIECE_ROWS)
            records = np.empty(hi - lo, dtype=self._dtype)
            for name, values in piece.items():
                records[name] = values[lo:hi]
            self._spill.append(records)

    def in_order(
        self, order: RowOrder, look: Callable[[Columns], None]
    ) -> Callable[[bool], Iterator[Columns]]:
        """Return a function that yields the values of test rows (True) or training rows, in order.

        This object is empty afterwards.

        Parameters
        ----------
        look: is shown the values of all training rows, in pieces; if they are few, as one piece in
            the order of the store.
        """
        if self._spill is not None:
            arranged = Arranged(self._spill, order, self._directory, look)
            self._spill = None
            return arranged.buckets
        return self._from_memory(order, look)

    def _from_memory(
        self, order: RowOrder, look: Callable[[Columns], None]
    ) -> Callable[[bool], Iterator[Columns]]:
        columns, self._columns = self._columns, {}
        test_rows, train_rows = order.rows()
        training = np.ones(order.n_rows, dtype=np.bool_)
        training[test_rows] = False

        def buckets(test: bool) -> Iterator[Columns]:
            rows = test_rows if test else train_rows
            for lo in range(0, len(rows), PIECE_ROWS):
                some = rows[lo : lo + PIECE_ROWS]
                yield {name: values[some] for name, values in columns.items()}

        if order.n_rows <= PIECE_ROWS:
            for columns_in_order in buckets(False):
                look(columns_in_order)
            return buckets

        # Which order does not matter; that of the source is the quicker one.
        def in_pieces() -> Iterator[Columns]:
            for lo in range(0, order.n_rows, PIECE_ROWS):
                piece = slice(lo, min(lo + PIECE_ROWS, order.n_rows))
                yield {name: values[piece][training[piece]] for name, values in columns.items()}

        for columns_of_training_rows in ahead(in_pieces()):
            look(columns_of_training_rows)
        return buckets
