"""From table columns to sparse rows: one-hot categories, scaled numbers, a constant, a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.manifest import Task
from erasurehead.datasets.store import Array, CsrRows

TEST_SHARE = 0.2
SPLIT_SEED = 0

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows ready to be written, training and test apart."""

    task: Task
    train: CsrRows
    test: CsrRows


def split(n_rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (training, test) row numbers of the split that all presets use.

    The first ceil(0.2 n) entries of `RandomState(0).permutation(n)` are the test rows; both parts
    stay in the permutation's order, so stored rows are in random order.
    """
    # The legacy generator on purpose: published sizes and results were made with this split.
    order = np.random.RandomState(SPLIT_SEED).permutation(n_rows)
    n_test = -(-n_rows // 5)
    return order[n_test:], order[:n_test]


def one_hot_rows(
    categorical: Sequence[tuple[Codes, int]],
    numeric: Sequence[npt.NDArray[np.float64]],
    labels: npt.NDArray[np.float64],
    task: Task,
) -> Encoded:
    """Encode a table and split it.

    Parameters
    ----------
    categorical: per column the codes 0..count-1, shape (rows,), and their count; each code gets a
        column. Counted over training and test rows together.
    numeric: per column the numbers, shape (rows,); standardised by the training rows' mean and
        deviation.
    labels: shape (rows,).

    Returns
    -------
    Rows of len(categorical) + len(numeric) + 1 entries each; the last column is constant one.
    """
    n_rows = len(labels)
    per_row = len(categorical) + len(numeric) + 1
    indices = np.empty((n_rows, per_row), dtype=np.int32)
    first = 0
    for i, (codes, count) in enumerate(categorical):
        np.add(codes, first, out=indices[:, i], casting="unsafe")
        first += count
    indices[:, len(categorical) :] = np.arange(first, first + len(numeric) + 1)
    n_columns = first + len(numeric) + 1
    train, test = split(n_rows)
    values: Array | None = None
    if numeric:
        values = np.ones((n_rows, per_row))
        for i, column in enumerate(numeric):
            mean, deviation = column[train].mean(), column[train].std()
            values[:, len(categorical) + i] = (column - mean) / (deviation or 1.0)

    def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
        return CsrRows(
            indptr=np.arange(0, len(chosen) * per_row + 1, per_row, dtype=np.int64),
            indices=indices[chosen].ravel(),
            values=None if values is None else values[chosen].ravel(),
            labels=labels[chosen],
            n_columns=n_columns,
        )

    return Encoded(task, take(train), take(test))


def codes_of(column: Array) -> tuple[Codes, int]:
    """Return the codes of a column's distinct values, in sorted order, and their count.

    Small integers are counted instead of sorted, which is what most real columns are.
    """
    if column.dtype.kind in "iu" and len(column):
        low, high = int(column.min()), int(column.max())
        if high - low < 1 << 22:
            present = np.zeros(high - low + 1, dtype=np.bool_)
            present[column - low] = True
            code = np.cumsum(present, dtype=np.int32) - 1
            return code[column - low].astype(np.int32), int(np.count_nonzero(present))
    distinct, codes = np.unique(column, return_inverse=True)
    return codes.astype(np.int32), len(distinct)


def pair_codes(a: tuple[Codes, int], b: tuple[Codes, int]) -> tuple[Codes, int]:
    """Return the codes of the pairs of two columns that occur together."""
    joined = a[0].astype(np.int64) * b[1] + b[0]
    distinct, codes = np.unique(joined, return_inverse=True)
    return codes.astype(np.int32), len(distinct)
