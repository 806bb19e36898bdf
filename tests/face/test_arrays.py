"""Arrays that a user hands in are read, and never changed."""

from __future__ import annotations

from datetime import date
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
        (np.ma.masked_less(DENSE, 0), LABELS, "X has masked entries"),
        (DENSE, np.ma.masked_less(LABELS, 2), "y has masked entries"),
        (DENSE.astype("M8[D]"), LABELS, r"type datetime64\[D\], which are no real numbers"),
        (pd.DataFrame({"a": pd.to_timedelta(LABELS, unit="s")}), LABELS, "type timedelta64"),
        (np.array([[np.timedelta64("NaT"), 1]] * 4, dtype=object), LABELS, "X holds missing"),
        (np.array([[np.datetime64(3, "D"), 1]] * 4, dtype=object), LABELS, "type object"),
        (np.array([[np.complex64(1j), 1]] * 4, dtype=object), LABELS, "type object"),
        (np.zeros((4, 2), dtype=[("a", float)]), LABELS, "which are no real numbers"),
        (pd.DataFrame({"a": pd.array([1, None, 2, 3], "Float64"), "b": 1}), LABELS, "missing ent"),
        (np.array([[10**400]] * 4, dtype=object), LABELS, "beyond what a float can say"),
        ([[1.0], [2.0, 3.0]] * 2, LABELS, "X has entries of different lengths"),
        (DENSE * 1e154, LABELS, "X holds 4e[+]154, whose square is no number"),
        (DENSE, -LABELS * 1e154, "y holds -4e[+]154, whose square is no number"),
        (DENSE, LABELS.astype("M8[D]"), "neither numbers nor names of classes"),
        (DENSE, LABELS + 1j, "neither numbers nor names of classes"),
        (DENSE, [date(2020, 1, 1), 3, 3, 4], "labels that have no order, such as datetime.date"),
        (DENSE, [{1}, {2}, {1}, {2}], "labels that have no order, such as {1}"),
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
        (["a"] * 4, "which are no real numbers; give one number a row"),
        (np.ma.masked_less(LABELS, 2), "sample_weight has masked entries"),
        (LABELS.astype("M8[D]"), "which are no real numbers"),
        (LABELS + 1j, "which are no real numbers"),
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


def test_a_sparse_matrix_that_names_columns_it_has_not_is_refused() -> None:
    """scipy looks at indices only when it is asked to, and products read beyond a vector's end."""
    for format in ("csr", "csc", "bsr"):
        for name, place, number in (("indices", 0, 7), ("indices", 1, -1), ("indptr", 1, 9)):
            matrix = sparse.coo_array(DENSE).asformat(format)
            getattr(matrix, name)[place] = number
            with pytest.raises(DataError, match="X is a damaged sparse matrix"):
                rows_of(matrix, LABELS)


def test_labels_of_another_kind_are_none_of_the_classes() -> None:
    """numpy writes numbers out beside texts."""
    for y, test in ((["1", "2"] * 2, [1, 2]), ([1, 2] * 2, ["1", "2"])):
        with pytest.raises(DataError, match=r"y of test has labels such as .*; give"):
            hand_in(DENSE, y, test=(DENSE[:2], test))


def test_texts_of_numpys_newer_type_are_classes() -> None:
    texts = np.array(["a", "b", "a", "b"], dtype=np.dtypes.StringDType())
    assert Targets.of(texts, None).target == "two classes"


def test_labels_are_copied() -> None:
    y = np.array([1.0, 2.0])
    assert not np.shares_memory(labels_of(y), y)
