from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from erasurehead.datasets.encoding import codes_of, one_hot_rows, pair_codes, split
from erasurehead.errors import DataError
from tests.support.small_rows import matrix_of

Column = npt.NDArray[np.int64]


@pytest.mark.parametrize("n_rows", [2, 3, 5, 6, 21_613])
def test_the_split_is_the_published_one(n_rows: int) -> None:
    order = np.random.RandomState(0).permutation(n_rows)
    n_test = int(np.ceil(0.2 * n_rows))
    train, test = split(n_rows)
    np.testing.assert_array_equal(test, order[:n_test])
    np.testing.assert_array_equal(train, order[n_test:])


@pytest.mark.parametrize("n_rows", [0, 1])
def test_too_few_rows_to_split(n_rows: int) -> None:
    with pytest.raises(DataError, match=f"the source has {n_rows} rows?; at least 2 are needed"):
        split(n_rows)


@given(
    hnp.arrays(
        st.one_of(
            hnp.integer_dtypes(endianness="="),
            hnp.unsigned_integer_dtypes(endianness="="),
            hnp.floating_dtypes(sizes=(64,), endianness="="),
        ),
        st.integers(0, 30),
    )
)
def test_codes_are_those_of_numpy_unique(column: npt.NDArray[np.generic]) -> None:
    if column.dtype.kind == "f":
        column = column[~np.isnan(column)]
    distinct, expected = np.unique(column, return_inverse=True)
    codes, count = codes_of(column)
    assert count == len(distinct)
    np.testing.assert_array_equal(codes, expected)
    assert codes.dtype == np.int32


@pytest.mark.parametrize(
    "column",
    [
        np.array([-128, 100, 0, -27], np.int8),
        np.array([-32768, 32000, 0, -768], np.int16),
        np.array([2**64 - 1, 2**64 - 3], np.uint64),
    ],
)
def test_differences_beyond_the_columns_own_type(column: Column) -> None:
    """int8 used to wrap around and give -27 and 0 one code."""
    np.testing.assert_array_equal(codes_of(column)[0], np.unique(column, return_inverse=True)[1])


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=20))
def test_pairs_are_numbered_in_order(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    codes, count = pair_codes(codes_of(a), codes_of(b))
    order = sorted(set(pairs))
    assert count == len(order)
    assert codes.tolist() == [order.index(pair) for pair in pairs]


@given(
    hnp.arrays(
        np.int64, st.tuples(st.integers(2, 25), st.integers(1, 4)), elements=st.integers(-5, 5)
    )
)
def test_one_hot_is_scikit_learns(table: Column) -> None:
    """Columns in the same order, counted over training and test rows together, a constant last."""
    labels = np.arange(len(table), dtype=np.float64)
    encoded = one_hot_rows([codes_of(c) for c in table.T], [], labels, "numbers")
    expected = OneHotEncoder(sparse_output=False).fit_transform(table)
    expected = np.column_stack([expected, np.ones(len(table))])
    for part, chosen in zip((encoded.train, encoded.test), split(len(table)), strict=True):
        assert part.values is None
        assert part.indices.dtype == np.int32
        np.testing.assert_array_equal(matrix_of(part).toarray(), expected[chosen])
        np.testing.assert_array_equal(part.labels, chosen)


def test_numbers_are_standardised_by_the_training_rows() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(30.0, 7.0, (50, 2))
    categories = rng.integers(0, 3, 50)
    encoded = one_hot_rows([codes_of(categories)], list(numbers.T), numbers[:, 0], "numbers")
    train, test = split(50)
    scaler = StandardScaler().fit(numbers[train])
    for part, chosen in ((encoded.train, train), (encoded.test, test)):
        found = matrix_of(part).toarray()
        np.testing.assert_array_equal(found[:, :3], np.eye(3)[categories[chosen]])
        np.testing.assert_allclose(found[:, 3:5], scaler.transform(numbers[chosen]), rtol=1e-12)
        np.testing.assert_array_equal(found[:, 5], 1.0)


def test_a_constant_number_stays_finite() -> None:
    encoded = one_hot_rows([], [np.full(10, 3.0)], np.zeros(10), "numbers")
    np.testing.assert_array_equal(matrix_of(encoded.train).toarray()[:, 0], 0.0)
