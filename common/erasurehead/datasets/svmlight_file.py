"""Files in svmlight (libsvm) format as sparse matrices."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.sources import read_plain, sklearn_datasets
from erasurehead.errors import DataError
from erasurehead.rows import LARGEST_SQUARED

LARGEST_COLUMN = 2**31 - 1
"""scikit-learn reads the numbers of columns as integers of 32 bits."""

EXPECTED = "expected lines such as '1 3:0.5 7:1'"


def read_svmlight(
    paths: Sequence[Path], *, zero_based: bool = True
) -> list[tuple[Any, FloatArray]]:
    """Return the matrix, shape (rows, columns), and the labels, shape (rows,), of each file.

    All matrices have as many columns as the files tell together.

    Parameters
    ----------
    zero_based: columns count from 0, else from 1.

    Raises
    ------
    DataError: a file is no such thing, has no rows, a column beyond `LARGEST_COLUMN`, or a number
        that is not finite or too large to be squared.
    """
    plain = [io.BytesIO(read_plain(path)) for path in paths]
    named = " and ".join(map(str, paths))
    try:
        read = sklearn_datasets().load_svmlight_files(plain, zero_based=zero_based)
    except OverflowError:
        raise DataError(
            f"{named} names a column beyond {LARGEST_COLUMN}, which is the largest that can be"
            " read; number the columns that occur without gaps"
        ) from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        counting = "" if zero_based else " that counts from 1"
        raise DataError(
            f"{named} cannot be read as svmlight{counting}: {reason}; {EXPECTED}"
        ) from None
    parts = list(zip(read[::2], read[1::2], strict=True))
    for path, (matrix, labels) in zip(paths, parts, strict=True):
        _check(path, matrix, labels)
    return parts


def _check(path: Path, matrix: Any, labels: FloatArray) -> None:
    if not len(labels):
        raise DataError(f"{path} has no row; name a file with rows")
    # NaN is not at most anything, so it is found as well.
    bad = np.flatnonzero(~(np.abs(matrix.data) <= LARGEST_SQUARED))
    rows = [*(np.searchsorted(matrix.indptr, bad, side="right") - 1)]
    rows += [*np.flatnonzero(~(np.abs(labels) <= LARGEST_SQUARED))]
    if rows:
        row = int(min(rows))
        held = [labels[row], *matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]]
        if np.isfinite(held).all():
            raise DataError(
                f"row {row + 1} of {path} holds {max(held, key=abs):g}, whose square is no number;"
                " give values and labels in larger units"
            )
        raise DataError(
            f"row {row + 1} of {path} holds a number that is not finite; fill it in or leave the"
            " row out"
        )
