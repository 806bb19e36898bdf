"""Rows as a scipy matrix."""

from __future__ import annotations

import numpy as np

from erasurehead.rows import CsrRows


def test_the_matrix_of_a_store_s_types_has_no_copies_of_what_is_large() -> None:
    """Stores have int32 columns and int64 pointers; scipy would widen the columns."""
    rows = CsrRows(
        indptr=np.array([0, 2, 3], np.int64),
        indices=np.array([0, 2, 1], np.int32),
        values=np.array([1.0, 2.0, 3.0], np.float32),
        labels=np.zeros(2),
        n_columns=3,
    )
    matrix = rows.matrix()
    assert np.shares_memory(matrix.indices, rows.indices)
    assert np.shares_memory(matrix.data, rows.values)
    np.testing.assert_array_equal(matrix.toarray(), [[1, 0, 2], [0, 3, 0]])


def test_pointers_keep_their_type_where_the_columns_have_too_narrow_a_one() -> None:
    """As with more than 2**31 entries of int32 columns, but smaller."""
    columns = np.tile(np.arange(100, dtype=np.int8), 2)
    rows = CsrRows(np.array([0, 100, 200]), columns, None, np.zeros(2), 100)
    np.testing.assert_array_equal(rows.matrix().toarray(), np.ones((2, 100)))
