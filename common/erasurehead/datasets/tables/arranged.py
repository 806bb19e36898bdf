"""Records on disk brought into the order of a store, bucket by bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array
from erasurehead.datasets.tables.order import RowOrder
from erasurehead.datasets.tables.spill import Records, Spill

BUCKET_ROWS = 1 << 17
PLACE = "place"
"""A field of four bytes, in which a record has its place in its bucket."""


class Arranged:
    """The records of a spill in the order of a store.

    Rows of one bucket are neighbours in that order, so reading a bucket is reading one piece of a
    file, and no more than a bucket is in memory.

    Parameters
    ----------
    source: the records in the order of the source; their field `PLACE` is filled here.
    order: where each goes.
    directory: on the disk that has the room.
    look: is shown the columns of all training rows, in pieces.
    """

    def __init__(
        self,
        source: Spill,
        order: RowOrder,
        directory: Path,
        look: Callable[[Mapping[str, Array]], None],
    ) -> None:
        n, n_test = order.n_rows, order.n_test
        starts = [*range(0, n_test, BUCKET_ROWS), *range(n_test, n, BUCKET_ROWS)]
        self._edges: npt.NDArray[np.int64] = np.array([*starts, n])
        self._n_test = n_test
        self._spill = Spill(source.dtype, directory)
        self._names = [name for name in source.dtype.names or () if name != PLACE]
        filled = self._edges[:-1].copy()
        for lo in range(0, n, BUCKET_ROWS):
            hi = min(lo + BUCKET_ROWS, n)
            places = order.places(lo, hi)
            records = source.read(lo, hi)
            training = records[places >= n_test]
            look({name: training[name] for name in self._names})
            self._distribute(records, places, filled)

    def _distribute(
        self, records: Records, places: npt.NDArray[np.int64], filled: npt.NDArray[np.int64]
    ) -> None:
        """Append records to their buckets; `filled` says how far each is, and is moved on."""
        bucket = np.searchsorted(self._edges, places, side="right") - 1
        records[PLACE] = places - self._edges[bucket]
        placed = records[np.argsort(bucket, kind="stable")]
        ends = np.cumsum(np.bincount(bucket, minlength=len(filled)))
        first = 0
        for i, end in enumerate(ends.tolist()):
            if end > first:
                self._spill.write(int(filled[i]), placed[first:end])
                filled[i] += end - first
            first = end

    def buckets(self, test: bool) -> Iterator[Mapping[str, Array]]:
        """Yield the columns of the test rows or of the training rows, in order."""
        for lo, hi in zip(self._edges[:-1].tolist(), self._edges[1:].tolist(), strict=True):
            if (lo < self._n_test) == test:
                records = self._spill.read(lo, hi)
                turn = np.argsort(records[PLACE])
                yield {name: records[name][turn] for name in self._names}
