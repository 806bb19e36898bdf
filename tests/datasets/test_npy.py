"""Arrays of any shape as stores: entries, shape, labels, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erasurehead.datasets.encoding import split
from erasurehead.datasets.encodings.npy import NpyEncoding
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from tests.support.small_rows import matrix_of


def images(n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, 2, 3, 4)).astype(np.uint8)
    X[X < 100] = 0
    return X, np.arange(n) % 3


def made(place: Path, X: Any, y: Any, **options: Any) -> Store:
    for name, array in {"X": X, "y": y, **options}.items():
        if isinstance(array, np.ndarray):
            np.save(place / f"{name}.npy", array)
    given = {
        name: str(place / f"{name}.npy") if isinstance(value, np.ndarray) else str(value)
        for name, value in options.items()
    }
    given["y"] = str(place / "y.npy")
    return prepare("npy", source=place / "X.npy", out=place / "store", options=given).store


def test_entries_are_columns_and_the_shape_is_kept(tmp_path: Path) -> None:
    X, y = images()
    store = made(tmp_path, X, y, divisor=255)
    train, test = split(20)
    flat = X.reshape(20, -1) / 255
    np.testing.assert_array_equal(matrix_of(store.train).toarray(), flat[train])
    np.testing.assert_array_equal(matrix_of(store.test).toarray(), flat[test])
    np.testing.assert_array_equal(store.train.labels, y[train])
    assert store.manifest.row_shape == "2x3x4"
    assert store.manifest.target == "classes"
    assert store.manifest.classes == ("0", "1", "2")
    assert store.manifest.nnz == np.count_nonzero(flat[train]), "zeros are left out"
    assert store.encoding == NpyEncoding((2, 3, 4), 255.0, "classes", ("0", "1", "2"))
    assert store.manifest.meaning == store.encoding.meaning


def test_test_rows_may_have_files_of_their_own(tmp_path: Path) -> None:
    X, y = images()
    store = made(tmp_path, X[:15], y[:15], test=X[15:], test_y=y[15:])
    assert (store.manifest.rows, store.manifest.test_rows) == (15, 5)
    np.testing.assert_array_equal(matrix_of(store.test).toarray(), X[15:].reshape(5, -1))
    np.testing.assert_array_equal(store.test.labels, y[15:])
    assert sorted(store.train.labels) == sorted(y[:15])


@pytest.mark.parametrize(
    ("y", "options", "target"),
    [
        (np.linspace(0, 1, 20), {}, "numbers"),
        (np.arange(20) % 2, {}, "two classes"),
        (np.arange(20) % 2, {"labels": "numbers"}, "numbers"),
        (np.array(["cat", "dog", "eel", "fox"] * 5), {}, "classes"),
    ],
)
def test_labels(y: np.ndarray, options: dict[str, str], target: str, tmp_path: Path) -> None:
    assert made(tmp_path, images()[0], y, **options).manifest.target == target


def test_the_same_arrays_are_the_same_store(tmp_path: Path) -> None:
    X, y = images()
    assert made(tmp_path, X, y).digest == made(tmp_path, X, y).digest
    with pytest.raises(UsageError, match="holds another store"):
        made(tmp_path, X, y, divisor=2)


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (np.zeros(5), np.zeros(5), r"holds float64 of shape \(5,\); give numbers of shape"),
        (np.array([["a"]]), np.zeros(1), "holds <U1 of shape"),
        (np.ones((5, 2)), np.zeros(4), "has 5 rows and .* 4 labels; give one a row"),
        (np.ones((5, 2)), np.zeros((5, 1)), r"give labels of shape \(rows,\)"),
        (np.array([[1.0], [np.nan]]), np.zeros(2), "row 2 of .* is not finite"),
        (np.ones((2, 2)), np.array([np.nan, 1]), "has labels that are not finite"),
        (np.full((4, 2), -1e160), np.arange(4) % 2, "holds 1e[+]160 after the division by"),
        (np.ones((4, 2)), np.linspace(0, 1e160, 4), "holds 1e[+]160, whose square is no number"),
        (np.ones((4, 2)), 2**53 + np.arange(4) % 2, "has classes of 9007199254740992 or more"),
    ],
)
def test_what_is_no_array_of_rows_is_refused(
    X: np.ndarray, y: np.ndarray, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words):
        made(tmp_path, X, y)


def test_other_files_and_options_are_refused(tmp_path: Path) -> None:
    X, y = images()
    (tmp_path / "X.npy").write_text("nothing")
    np.save(tmp_path / "y.npy", y)
    options = {"y": str(tmp_path / "y.npy")}
    with pytest.raises(DataError, match=r"X.npy is no .npy file"):
        prepare("npy", source=tmp_path / "X.npy", out=tmp_path / "s", options=options)
    with pytest.raises(DataError, match=r"cannot read .*nowhere.npy: No such file or directory; g"):
        prepare("npy", source=tmp_path / "nowhere.npy", out=tmp_path / "s", options=options)
    with pytest.raises(UsageError, match="test and test_y of prepare npy go together"):
        made(tmp_path, X, y, test=X)
    with pytest.raises(UsageError, match="divisor=0"):
        made(tmp_path, X, y, divisor=0)
    with pytest.raises(DataError, match=r"has the shape \(3,\), and one of .* \(2, 3, 4\)"):
        made(tmp_path, X, y, test=np.ones((2, 3)), test_y=np.array([0, 1]))
