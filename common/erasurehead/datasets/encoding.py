"""From table columns to sparse rows: one-hot categories, scaled numbers, a constant, a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array
from erasurehead.datasets.blocks import RowBlocks
from erasurehead.datasets.encodings import Encoding
from erasurehead.datasets.manifest import COLUMNS_OF_INT32
from erasurehead.datasets.tables.moments import moments, standardised
from erasurehead.errors import DataError
from erasurehead.rows import CsrRows, Target
from erasurehead.words import counted

ROWS_PER_TEST_ROW = 5
SPLIT_SEED = 0

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows ready to be written, training and test apart.

    `target` is what labels are, `classes` what they are called if they are classes. `encoding` says
    how other rows of the kind are encoded alike, if that can be said.
    """

    target: Target
    train: CsrRows
    test: CsrRows
    classes: tuple[str, ...] = ()
    encoding: Encoding | None = None


@dataclass(frozen=True, eq=False)
class EncodedBlocks:
    """As `Encoded`, of rows that are made block by block while they are written."""

    target: Target
    train: RowBlocks
    test: RowBlocks
    classes: tuple[str, ...] = ()
    encoding: Encoding | None = None


def split(n_rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (training, test) row numbers of the split that all presets use.

    The first ceil(0.2 n) entries of `RandomState(0).permutation(n)` are the test rows; both parts
    stay in the permutation's order, so stored rows are in random order.

    Raises
    ------
    DataError: fewer than two rows, of which one part would be empty.
    """
    if n_rows < 2:
        raise DataError(
            f"the source has {counted(n_rows, 'row')}; at least 2 are needed, one to train and one"
            " to test"
        )
    # The legacy generator on purpose: published sizes and results were made with this split.
    order = np.random.RandomState(SPLIT_SEED).permutation(n_rows)
    n_test = -(-n_rows // ROWS_PER_TEST_ROW)
    return order[n_test:], order[:n_test]


def one_hot_rows(
    categorical: Sequence[tuple[Codes, int]],
    numeric: Sequence[npt.NDArray[np.float64]],
    labels: npt.NDArray[np.float64],
    target: Target,
) -> Encoded:
    """Encode a table and split it.

    Parameters
    ----------
    categorical: per column the codes 0..count-1, shape (rows,), and their count; each code gets a
        column. Counted over training and test rows together.
    numeric: per column the numbers, shape (rows,); standardised by the training rows' mean and
        deviation.
    labels: shape (rows,).
    target: what they are.

    Returns
    -------
    Rows of len(categorical) + len(numeric) + 1 entries each; the last column is constant one.
    """
    n_rows = len(labels)
    per_row = len(categorical) + len(numeric) + 1
    n_columns = sum(count for _, count in categorical) + len(numeric) + 1
    dtype = np.dtype(np.int32 if n_columns < COLUMNS_OF_INT32 else np.int64)
    train, test = split(n_rows)
    indices = np.empty((n_rows, per_row), dtype=dtype)
    first = 0
    for i, (codes, count) in enumerate(categorical):
        np.add(codes, first, out=indices[:, i], dtype=dtype)
        first += count
    indices[:, len(categorical) :] = np.arange(first, first + len(numeric) + 1)
    values: Array | None = None
    if numeric:
        values = np.ones((n_rows, per_row))
        for i, column in enumerate(numeric):
            mean, deviation = moments(column[train])
            values[:, len(categorical) + i] = standardised(column, mean, deviation)

    def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
        return CsrRows(
            indptr=np.arange(0, len(chosen) * per_row + 1, per_row, dtype=np.int64),
            indices=indices[chosen].ravel(),
            values=None if values is None else values[chosen].ravel(),
            labels=labels[chosen],
            n_columns=n_columns,
        )

    return Encoded(target, take(train), take(test))


def codes_of(column: Array) -> tuple[Codes, int]:
    """Return the codes of a column's distinct values, in sorted order, and their count.

    The column and the codes have shape (rows,).

    Small integers are counted instead of sorted, which is what most real columns are.
    """
    if column.dtype.kind in "iu" and len(column):
        low, high = int(column.min()), int(column.max())
        if high - low < 1 << 22:
            # In eight bytes, because differences of short integers wrap around in their own type.
            wide = column if column.dtype.itemsize == 8 else column.astype(np.int64)
            offset = wide - wide.min()
            present = np.zeros(high - low + 1, dtype=np.bool_)
            present[offset] = True
            code = np.cumsum(present, dtype=np.int32) - 1
            return code[offset].astype(np.int32), int(np.count_nonzero(present))
    distinct, codes = np.unique(column, return_inverse=True)
    return codes.astype(np.int32), len(distinct)


def pair_codes(a: tuple[Codes, int], b: tuple[Codes, int]) -> tuple[Codes, int]:
    """Return the codes of the pairs of two columns that occur together."""
    joined = a[0].astype(np.int64) * b[1] + b[0]
    distinct, codes = np.unique(joined, return_inverse=True)
    return codes.astype(np.int32), len(distinct)
