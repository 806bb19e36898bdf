"""Arrays that a user hands in are read, and never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from erasurehead.errors import DataError, UsageError
from erasurehead_face.running.arrays import labels_of, permuted, rows_of
from erasurehead_face.running.handed import hand_in
from erasurehead_face.running.targets import Targets

DENSE = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, -3.0, 0.5], [4.0, 0.0, 0.0]])
LABELS = np.array([1.0, 2.0, 3.0, 4.0])


def repeated(kind: Any, dtype: Any, *, writeable: bool = True, index: Any = np.int32) -> Any:
    """Return a matrix whose one row names column 1 300 times, with a 1 each time."""
    arrays = (np.ones(300, dtype), np.ones(300, index), np.array([0, 300], index))
    for array in arrays:
        array.flags.writeable = writeable
    return kind(arrays, shape=(1, 2), copy=False)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_repeated_entries_are_added_in_float64_and_the_matrix_stays(
    kind: Any, writeable: bool, index: Any
) -> None:
    matrix = repeated(kind, np.int8, writeable=writeable, index=index)
    before = [a.copy() for a in (matrix.data, matrix.indices, matrix.indptr)]
    for _ in range(2):  # two fits share the matrix
        rows = rows_of(matrix, np.zeros(1))
        np.testing.assert_array_equal(rows.matrix().toarray(), [[0.0, 300.0]])
    for array, held in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(array, held)
    assert matrix.nnz == 300


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8, np.bool_])
def test_every_format_gives_the_same_rows(format: str, dtype: Any) -> None:
    table = DENSE.astype(dtype)
    matrix = sparse.coo_array(table).asformat(format)
    for given in (matrix, table):
        rows = rows_of(given, LABELS)
        np.testing.assert_array_equal(rows.matrix().toarray(), table.astype(np.float64))
        assert not np.shares_memory(rows.indptr, getattr(given, "indptr", np.zeros(0)))


def test_repeated_triplets_and_explicit_zeros() -> None:
    triplets = sparse.coo_array(
        (np.array([100, 100, 0], np.int8), (np.array([0, 0, 1]), np.array([1, 1, 0]))), shape=(2, 2)
    )
    rows = rows_of(triplets, np.zeros(2))
    np.testing.assert_array_equal(rows.matrix().toarray(), [[0.0, 200.0], [0.0, 0.0]])
    assert len(rows.indices) == 1
    assert triplets.nnz == 3


def test_memory_maps_and_frames_are_read_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", DENSE.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    frame = pd.DataFrame(DENSE, columns=["a", "b", "c"])
    for given in (mapped, frame, DENSE.tolist(), np.asfortranarray(DENSE)):
        np.testing.assert_array_equal(rows_of(given, LABELS).matrix().toarray(), DENSE)


def test_ones_are_implied() -> None:
    assert rows_of(np.eye(3), np.zeros(3)).values is None


def test_rows_keep_what_belongs_to_them_in_another_order() -> None:
    handed = hand_in(DENSE, LABELS, sample_weight=LABELS / 2, offset=-LABELS, seed=3)
    for rows in (handed.train, permuted(handed.train, 5)):
        assert rows.weights is not None
        assert rows.offsets is not None
        order = np.argsort(rows.labels)
        np.testing.assert_array_equal(rows.matrix().toarray()[order], DENSE)
        np.testing.assert_array_equal(rows.weights, rows.labels / 2)
        np.testing.assert_array_equal(rows.offsets, -rows.labels)


@pytest.mark.parametrize(
    ("y", "model", "target", "labels"),
    [
        (["b", "a", "b"], None, "two classes", [1, -1, 1]),
        ([True, False, True], None, "two classes", [1, -1, 1]),
        ([5, 3, 5], "logistic", "two classes", [1, -1, 1]),
        ([5, 3, 5], "least-squares", "numbers", [5, 3, 5]),
        ([0.5, 1.5, 2.5], None, "numbers", [0.5, 1.5, 2.5]),
        (["c", "a", "b", "a", "b", "c"], None, "classes", [2, 0, 1, 0, 1, 2]),
        ([0, 1, 2, 2, 1, 0], None, "classes", [0, 1, 2, 2, 1, 0]),
    ],
)
def test_labels_are_what_prepare_would_take_them_for(
    y: list[Any], model: str | None, target: str, labels: list[float]
) -> None:
    found = Targets.of(y, model)
    assert found.target == target
    np.testing.assert_array_equal(found.labels, labels)
    assert (found.classes is None) == (target == "numbers")


def test_three_classes_name_the_model_that_takes_them() -> None:
    with pytest.raises(DataError, match="the model logistic tells two apart; take model='softmax'"):
        Targets.of(["a", "b", "c", "a"], "logistic")


def test_a_class_that_occurs_once_is_told_of() -> None:
    with pytest.warns(UserWarning, match="y has the class c in one row only"):
        found = Targets.of(["a", "b", "c", "a", "b"], None)
    assert found.target == "classes"


@pytest.mark.parametrize(
    ("X", "y", "told"),
    [
        (sparse.coo_array(np.ones(4)), LABELS, r"X has shape \(4,\)"),
        (DENSE, None, "y is missing"),
        (DENSE, [1.0, 2.0], "4 rows and there are 2 labels"),
        (DENSE, ["a"] * 4, "one class, a, in every row"),
        (DENSE, [1.0, np.nan, 2.0, 3.0], "missing or infinite labels"),
        (DENSE, ["a", None, "b", "c"], "missing or infinite labels"),
        (DENSE, [[1, 2]] * 4, r"shape \(4, 2\)"),
        (np.where(DENSE, np.inf, 0), LABELS, "NaN or infinite entries"),
        (DENSE[0], LABELS, r"X has shape \(3,\)"),
        (DENSE[:, :0], LABELS, "no columns"),
        (DENSE[:0], LABELS[:0], "y is empty"),
        (DENSE.astype(complex), LABELS, "type complex128"),
        (np.array([["red", 1.0]] * 4, dtype=object), LABELS, "type object"),
        (sparse.csr_array(DENSE.astype(complex)), LABELS, "give real numbers"),
    ],
)
def test_what_is_wrong_with_arrays_is_one_sentence(X: Any, y: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        hand_in(X, y)


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (-LABELS, "negative weight -1"),
        (np.zeros(4), "0 in every row"),
        (np.array([1, np.nan, 1, 1]), "NaN or infinite"),
        (LABELS[:2], r"shape \(2,\) and X has 4 rows"),
        (["a"] * 4, "other than numbers"),
    ],
)
def test_what_is_wrong_with_weights_is_one_sentence(weight: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        hand_in(DENSE, LABELS, sample_weight=weight)


def test_test_rows_speak_of_the_same_classes_and_columns() -> None:
    y = ["a", "b", "a", "b"]
    handed = hand_in(DENSE, y, test=(np.ones((2, 3)), ["b", "a"]))
    np.testing.assert_array_equal(handed.test.labels, [1.0, -1.0])
    assert handed.test.values is not None  # as the training rows have them
    with pytest.raises(DataError, match="the class c"):
        hand_in(DENSE, y, test=(DENSE, ["a", "b", "c", "a"]))
    with pytest.raises(DataError, match="2 columns and X has 3"):
        hand_in(DENSE, y, test=(DENSE[:, :2], y))
    with pytest.raises(UsageError, match="no pair"):
        hand_in(DENSE, y, test=DENSE)  # type: ignore[arg-type]


def test_labels_are_copied() -> None:
    y = np.array([1.0, 2.0])
    assert not np.shares_memory(labels_of(y), y)
