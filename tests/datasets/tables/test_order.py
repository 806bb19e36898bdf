from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.datasets.encoding import split
from erasurehead.datasets.tables import order as orders
from erasurehead.datasets.tables.order import RowOrder
from erasurehead.errors import DataError


def computed(n_rows: int) -> RowOrder:
    """Return the order of so few rows as it is of too many to be listed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "MOST_LISTED", 1)
        return RowOrder(n_rows)


@pytest.mark.parametrize("n_rows", [2, 3, 10, 1001])
def test_few_rows_have_the_published_order(n_rows: int) -> None:
    order = RowOrder(n_rows)
    train, test = split(n_rows)
    np.testing.assert_array_equal(order.places(0, n_rows)[test], np.arange(len(test)))
    np.testing.assert_array_equal(order.places(0, n_rows)[train], np.arange(len(test), n_rows))
    np.testing.assert_array_equal(np.concatenate(order.rows()), np.concatenate([test, train]))


@settings(max_examples=40)
@given(n_rows=st.integers(2, 3000), cut=st.floats(0.0, 1.0))
def test_a_computed_order_is_a_permutation_too(n_rows: int, cut: float) -> None:
    """Pieces of it are those of the whole, and `rows` is its inverse."""
    order = computed(n_rows)
    places = order.places(0, n_rows)
    assert sorted(places.tolist()) == list(range(n_rows))
    middle = int(cut * n_rows)
    pieces = [order.places(0, middle), order.places(middle, n_rows)]
    np.testing.assert_array_equal(np.concatenate(pieces), places)
    rows = np.concatenate(order.rows())
    np.testing.assert_array_equal(places[rows], np.arange(n_rows))
    assert order.n_test == len(split(n_rows)[1])


def test_a_computed_order_is_as_random_as_one_could_wish() -> None:
    """Neighbours end anywhere, and every part of the source has its fifth of test rows."""
    n_rows = 1 << 17
    order = computed(n_rows)
    places = order.places(0, n_rows)
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(n_rows), places)[0, 1]) < 0.02
    shares = (places < order.n_test).reshape(64, -1).mean(axis=1)
    assert np.abs(shares - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / (n_rows / 64))


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="the source has 1 row; at least 2 are needed"):
        RowOrder(1)
