"""Rows from NumPy's and scipy's files: a matrix, dense or sparse."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, hstack, issparse, load_npz

from erasurehead.errors import DataError, reason_of
from erasurehead.rows import CsrRows


def read_matrix(path: Path, row_shape: tuple[int, ...] = ()) -> Any:
    """Return the matrix of a ``.npy`` file, of scipy's ``save_npz``, or alone in a ``.npz`` file.

    Parameters
    ----------
    row_shape: an array of shape (rows, *row_shape) will do as well; its rows are flattened.

    Returns
    -------
    A sparse matrix of float64, shape (rows, columns).

    Raises
    ------
    DataError: it holds no such thing, no rows, or a number that is not finite.
    """
    try:
        found = _loaded(path)
        if issparse(found):
            check_indices(found)
        elif row_shape and found.shape[1:] == row_shape:
            found = found.reshape(len(found), math.prod(row_shape))
        if found.ndim != 2 or found.dtype.kind not in "biuf":
            own = f", and rows of the training were of shape {row_shape}" if row_shape else ""
            raise ValueError(f"it holds {found.dtype} of shape {found.shape}{own}")
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is no matrix of numbers: {reason_of(error)}; give one row for each row to"
            " predict, as numpy.save or scipy.sparse.save_npz write it"
        ) from None
    if not found.shape[0]:
        raise DataError(f"{path} has no rows; give one at least")
    matrix = csr_array(found, dtype=np.float64)
    if not np.isfinite(matrix.data).all():
        bad = int(np.flatnonzero(~np.isfinite(matrix.data))[0])
        row = int(np.searchsorted(matrix.indptr, bad, side="right"))
        raise DataError(
            f"row {row} of {path} holds a number that is not finite; fill it in or leave the row"
            " out"
        )
    return matrix


def check_indices(matrix: Any) -> None:
    """Look whether a sparse matrix names only rows and columns that it has; it is not changed.

    scipy looks at most at the first and the last of its pointers, and products read what lies
    beyond an array.

    Raises
    ------
    ValueError: it does not.
    """
    if matrix.format not in ("csr", "csc", "bsr"):
        return  # in other formats scipy looks itself
    pointers, indices, axis = matrix.indptr, matrix.indices, int(matrix.format != "csc")
    n = matrix.shape[axis] // (matrix.blocksize[axis] if matrix.format == "bsr" else 1)
    if pointers[0] or pointers[-1] > len(indices) or (np.diff(pointers) < 0).any():
        raise ValueError("a row or column of it ends before it begins")
    low, high = indices.min(initial=0), indices.max(initial=0)
    if low < 0 or (len(indices) and high >= n):
        raise ValueError(f"it has indices from {low} to {high} where 0 to {n - 1} are possible")


def _loaded(path: Path) -> Any:
    held = np.load(path, allow_pickle=False)
    if not isinstance(held, np.lib.npyio.NpzFile):
        return held
    with held:
        if "format" in held.files:
            return load_npz(path)
        if len(held.files) != 1:
            raise ValueError(f"it holds {len(held.files)} arrays")
        return held[held.files[0]]


def as_rows(matrix: Any, labels: Any = None, *, constant: bool) -> CsrRows:
    """Return a matrix as rows of a store, with a column of ones after its own if `constant`.

    `labels`, shape (rows,), are nan by default.
    """
    n_rows = matrix.shape[0]
    if constant:
        matrix = hstack([matrix, csr_array(np.ones((n_rows, 1)))], format="csr")
    return CsrRows(
        matrix.indptr.astype(np.int64),
        matrix.indices,
        matrix.data,
        np.full(n_rows, np.nan) if labels is None else labels,
        matrix.shape[1],
    )
