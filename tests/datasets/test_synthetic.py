from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from tests.support.small_rows import matrix_of


def store_of(place: Path, **options: object) -> Store:
    name = "-".join(map(str, options.values())) or "plain"
    texts = {key: str(value) for key, value in options.items()}
    return prepare("synthetic", source=None, out=place / name, options=texts).store


def test_the_shape_is_the_one_asked_for(tmp_path: Path) -> None:
    store = store_of(tmp_path, rows=101, columns=37, nnz=5)
    assert (store.manifest.rows, store.manifest.test_rows, store.manifest.columns) == (80, 21, 37)
    assert store.train.values is None
    assert (np.diff(store.train.indptr) == 5).all()
    fields = np.asarray(store.train.indices).reshape(-1, 5)
    bounds = [37 * i // 5 for i in range(6)]
    for i, column in enumerate(fields.T):
        assert ((column >= bounds[i]) & (column < bounds[i + 1])).all()


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_categories_follow_the_power_law(tmp_path: Path, exponent: float) -> None:
    """Each frequency is within five standard errors of rows * i^-a / sum."""
    store = store_of(tmp_path, rows=20_000, columns=20, nnz=2, exponent=exponent)
    n_rows = store.manifest.rows
    weights = np.arange(1, 11) ** -exponent
    expected = n_rows * weights / weights.sum()
    for field in np.asarray(store.train.indices).reshape(-1, 2).T % 10:
        found = np.bincount(field, minlength=10)
        share = expected / n_rows
        assert (abs(found - expected) < 5 * np.sqrt(n_rows * share * (1 - share)) + 1).all()


@pytest.mark.parametrize("dense", [False, True])
def test_without_noise_least_squares_explains_everything(tmp_path: Path, dense: bool) -> None:
    store = store_of(tmp_path, rows=400, columns=20, nnz=4, dense=dense, noise=0, labels="numbers")
    matrix = matrix_of(store.train).toarray()
    model, *_ = np.linalg.lstsq(matrix, store.train.labels, rcond=None)
    np.testing.assert_allclose(matrix_of(store.test) @ model, store.test.labels, atol=1e-10)


def test_logistic_labels_can_be_learnt(tmp_path: Path) -> None:
    store = store_of(tmp_path, rows=4000, columns=40, nnz=8, noise=0.1)
    assert set(store.train.labels) == {-1.0, 1.0}
    model = LogisticRegression(C=10.0, max_iter=1000)
    model.fit(matrix_of(store.train), store.train.labels)
    assert model.score(matrix_of(store.test), store.test.labels) > 0.9


def test_dense_rows_have_every_column(tmp_path: Path) -> None:
    store = store_of(tmp_path, rows=50, columns=30, dense=True)
    assert store.train.values is not None
    np.testing.assert_array_equal(store.train.indices, np.tile(np.arange(30), 40))
    assert abs(store.train.values).min() > 0


def test_the_seed_decides(tmp_path: Path) -> None:
    first = store_of(tmp_path, rows=50, seed=1)
    assert store_of(tmp_path / "again", rows=50, seed=1).digest == first.digest
    assert store_of(tmp_path, rows=50, seed=2).digest != first.digest


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rows": 1}, "rows=1, columns=1000, nnz=10 is no data set; expected at least 2 rows"),
        ({"columns": 5}, "columns=5, nnz=10 is no data set"),
        ({"nnz": 0}, "nnz=0 is no data set"),
        ({"exponent": -1}, "exponent=-1, noise=0.5 and seed=0 must be finite and not"),
        ({"noise": "nan"}, "noise=nan"),
        ({"exponent": "inf"}, "exponent=inf"),
        ({"rows": "many"}, "option rows=many of data set 'synthetic' does not fit"),
        ({"row": 5}, r"has no option 'row' \(did you mean 'rows'\?\)"),
    ],
)
def test_impossible_shapes(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        store_of(tmp_path, **options)
