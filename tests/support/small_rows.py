"""Made-up rows, and comparing rows."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from erasurehead.datasets.manifest import Provenance
from erasurehead.rows import CsrRows


def rows_of(n_rows: int, *, ones: bool = True, seed: int = 0) -> CsrRows:
    """Return rows of zero to three entries in six columns."""
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 4, n_rows))])
    nnz = int(indptr[-1])
    return CsrRows(
        indptr=indptr,
        indices=rng.integers(0, 6, nnz).astype(np.int32),
        values=None if ones else rng.standard_normal(nnz),
        labels=rng.choice([-1.0, 1.0], n_rows),
        n_columns=6,
    )


MADE_UP = Provenance(source="made up", source_sha256="0" * 64, encoding="made-up-1")


def assert_same_rows(found: CsrRows, expected: CsrRows) -> None:
    """Compare all arrays; what is implied must be implied in both."""
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert (found.values is None) == (expected.values is None)
    if found.values is not None and expected.values is not None:
        np.testing.assert_array_equal(found.values, expected.values)
    assert found.n_columns == expected.n_columns


def matrix_of(rows: CsrRows) -> csr_array:
    """Return the rows as scipy's sparse matrix."""
    values = np.ones(len(rows.indices)) if rows.values is None else rows.values
    shape = (len(rows.labels), rows.n_columns)
    return csr_array((values, rows.indices, rows.indptr), shape=shape)
