"""Arrays that a user hands in, as rows: copied, never changed.

scipy merges repeated entries of a CSR matrix when it is read in some ways, in place and in the
data's own type (findings/scipy-csr-merges.sh). So rows are made from copies of a matrix's arrays,
and its repeated entries are added in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows
from erasurehead.words import counted, listed
from erasurehead_face.running.real_numbers import (
    NUMBERS,
    OBJECTS,
    TEXTS,
    array_of,
    check_size,
    is_missing,
    numbers_of,
)

FORMATS = "an array, a scipy sparse matrix or a data frame of numbers"


def rows_of(matrix: Any, labels: FloatArray | None, what: str = "X") -> CsrRows:
    """Return the rows of a matrix of shape (rows, columns), with zeros left out.

    Parameters
    ----------
    matrix: dense, sparse in any format, or a data frame of numbers.
    labels: shape (rows,); None: there are none, and the rows have NaN.
    what: the matrix in words, for messages.

    Raises
    ------
    DataError: it is no matrix of finite numbers that can be squared, has no columns, or not as
        many rows as labels.
    """
    from scipy.sparse import csr_array, issparse

    csr = _merged(matrix, what) if issparse(matrix) else csr_array(_dense(matrix, what))
    n_rows, n_columns = csr.shape
    if n_columns == 0:
        raise DataError(f"{what} has no columns; give at least one")
    check_size(csr.data, what)
    if labels is None:
        labels = np.full(n_rows, np.nan)
    check_length(labels, n_rows, what)
    ones = bool((csr.data == 1.0).all())
    return CsrRows(
        indptr=csr.indptr.astype(np.int64),
        indices=csr.indices,
        values=None if ones else csr.data,
        labels=labels,
        n_columns=n_columns,
    )


def names_of(matrix: Any) -> tuple[str, ...] | None:
    """Return what a data frame calls its columns; None: they have no names, or not all are texts.

    scikit-learn's rule, so that columns that are counted are told apart by their places.
    """
    columns = getattr(matrix, "columns", None)
    if columns is None:
        return None
    names = tuple(columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def check_names(
    given: tuple[str, ...] | None, own: tuple[str, ...] | None, what: str, theirs: str
) -> None:
    """Refuse a data frame of other columns, or of the same ones in another order.

    Parameters
    ----------
    given: `names_of` it.
    own: the names that the other rows have; nothing is compared where one has none.
    what, theirs: whose names these are, in words.

    Raises
    ------
    DataError: the names differ.
    """
    if given is None or own is None or given == own:
        return
    if sorted(given) == sorted(own):
        how = "the same columns in another order"
    else:
        strange = [name for name in given if name not in own] or list(given)
        how = f"other columns ({listed(strange)})"
    raise DataError(f"{what} has {how} than {theirs}; give it those, in this order: {listed(own)}")


def check_length(labels: Array, n_rows: int, what: str) -> None:
    """Refuse labels, shape (rows,), that are more or fewer than the rows of the matrix `what`.

    numpy would stretch a single one over all rows.

    Raises
    ------
    DataError: there are more, or fewer.
    """
    if len(labels) != n_rows:
        raise DataError(
            f"{what} has {counted(n_rows, 'row')} and there are {len(labels)} labels; give one"
            " label a row"
        )


def labels_of(y: Any, what: str = "y") -> Array:
    """Return labels as an array of their own of shape (rows,).

    Raises
    ------
    UsageError: there are none.
    DataError: they are not one label a row, some are missing, or they have no order.
    """
    if y is None:
        raise UsageError(f"{what} is missing; give one label a row of X")
    labels = np.array(array_of(y, what))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{what} has shape {labels.shape}; give one label a row, of shape (rows,)")
    if labels.dtype.kind not in NUMBERS + TEXTS + OBJECTS:
        raise DataError(
            f"{what} holds entries of type {labels.dtype}, which are neither numbers nor names of"
            " classes; give numbers or texts"
        )
    if labels.dtype.kind == OBJECTS:
        _check_objects(labels, what)
    elif labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{what} has missing or infinite labels; leave their rows out")
    return labels


def _check_objects(labels: Array, what: str) -> None:
    """Refuse labels that are missing, or cannot be told apart by their order.

    Raises
    ------
    DataError: there are such.
    """
    if any(map(is_missing, labels)):
        raise DataError(f"{what} has missing or infinite labels; leave their rows out")
    if any(isinstance(v, str) for v in labels):
        other = next((v for v in labels if not isinstance(v, str)), None)
        if other is not None:
            raise DataError(
                f"{what} holds texts and others, such as {other!r:.40}; give labels of one kind"
            )
    try:
        for label in labels:
            hash(label)  # what has none (a set, say) has no order either, or half of one
        np.sort(labels)
    except (TypeError, ValueError):
        raise DataError(
            f"{what} holds labels that have no order, such as {labels[0]!r:.40}; give numbers, or"
            " texts as names of classes"
        ) from None


def permuted(rows: CsrRows, seed: int) -> CsrRows:
    """Return the rows in a seeded random order, in which any row range is a fair sample."""
    order = np.random.default_rng((seed, 0x5F1E)).permutation(len(rows.labels))
    return taken(rows, order)


def taken(rows: CsrRows, order: Array) -> CsrRows:
    """Return some rows, in the order of their numbers, shape (chosen,)."""
    lengths = np.diff(rows.indptr)[order]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # Where each entry comes from: the beginning of its row, and its place in the row.
    places = np.arange(indptr[-1]) + np.repeat(rows.indptr[:-1][order] - indptr[:-1], lengths)
    return CsrRows(
        indptr=indptr,
        indices=rows.indices[places],
        values=None if rows.values is None else rows.values[places],
        labels=rows.labels[order],
        n_columns=rows.n_columns,
        weights=None if rows.weights is None else rows.weights[order],
        offsets=None if rows.offsets is None else rows.offsets[order],
    )


def _merged(matrix: Any, what: str) -> Any:
    """Return a CSR matrix of its own arrays, in float64, each entry once and in order."""
    # Not at the top: scipy takes a while to be imported.
    from scipy.sparse import coo_array, csr_array

    from erasurehead.datasets.matrix_file import check_indices

    if len(matrix.shape) != 2:
        raise DataError(f"{what} has shape {matrix.shape}; give {FORMATS}, of two axes")
    if matrix.dtype.kind not in "biuf":
        raise DataError(f"{what} holds entries of type {matrix.dtype}; give real numbers")
    try:
        check_indices(matrix)
    except ValueError as error:
        raise DataError(f"{what} is a damaged sparse matrix: {error}; make it again") from None
    if matrix.format == "csr":
        parts = (
            matrix.data.astype(np.float64),
            np.array(matrix.indices),
            np.array(matrix.indptr),
        )
        csr = csr_array(parts, shape=matrix.shape)
    else:
        # Other formats are read through their triplets, which have every repeated entry apart.
        triplets = matrix.tocoo(copy=True)
        data = triplets.data.astype(np.float64)
        places = (triplets.row, triplets.col)
        csr = csr_array(coo_array((data, places), shape=matrix.shape))
    try:
        csr.check_format(full_check=True)
    except ValueError as error:
        raise DataError(f"{what} is a damaged sparse matrix: {error}; make it again") from None
    csr.sum_duplicates()
    csr.eliminate_zeros()
    return csr


def _dense(matrix: Any, what: str) -> FloatArray:
    """Return a dense matrix in float64; it may be the user's own, which is only read."""
    table = array_of(matrix, what)
    if table.ndim != 2:
        raise DataError(
            f"{what} has shape {table.shape}; give {FORMATS}, of two axes (one column:"
            f" {what}.reshape(-1, 1))"
        )
    return numbers_of(table, what, "encode them, for example by scikit-learn's OneHotEncoder")
