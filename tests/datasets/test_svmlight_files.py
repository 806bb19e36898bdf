from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import dump_svmlight_file

from erasurehead.datasets.alike import read_alike
from erasurehead.datasets.encoding import split
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from tests.support.small_rows import matrix_of


def store_of(place: Path, content: str, test: str | None = None, **options: str) -> Store:
    source = place / "rows.svm"
    source.write_text(content)
    if test is not None:
        (place / "test.svm").write_text(test)
        options["test"] = str(place / "test.svm")
    return prepare("svmlight", source=source, out=place / "s", options=options).store


@settings(max_examples=20)
@given(
    table=hnp.arrays(np.float64, (8, 4), elements=st.sampled_from([0.0, 0.0, 1.0, -2.5, 1e-3])),
)
def test_rows_are_kept_and_a_constant_added(
    table: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("svm")
    table[0, :] = 1.0  # so that the file tells its columns
    labels = np.linspace(0.0, 1.0, 8)
    dump_svmlight_file(table, labels, str(place / "rows.svm"), zero_based=True)
    store = prepare("svmlight", source=place / "rows.svm", out=place / "s").store
    expected = np.column_stack([table, np.ones(8)])
    for part, chosen in zip((store.train, store.test), split(8), strict=True):
        np.testing.assert_array_equal(matrix_of(part).toarray(), expected[chosen])
        np.testing.assert_allclose(part.labels, labels[chosen], rtol=1e-12)
        if part.values is None:
            assert set(table[table != 0]) == {1.0}


def test_ones_are_implied(tmp_path: Path) -> None:
    store = store_of(tmp_path, "1 1:1 3:1\n-1 2:1\n1 1:1\n")
    assert store.train.values is None
    assert store.manifest.target == "two classes"
    assert store.manifest.columns == 4


@pytest.mark.parametrize("first", [0, 1])
def test_a_test_file_counts_columns_as_the_training_file(tmp_path: Path, first: int) -> None:
    """Read by itself, a test file without column 0 looked as if it counted from 1."""
    train = f"1 {first}:1 {first + 3}:1\n-1 {first + 1}:1\n1 {first + 2}:1\n"
    test = f"1 {first + 1}:1\n-1 {first + 3}:1\n"
    store = store_of(tmp_path, train, test)
    assert (store.manifest.rows, store.manifest.test_rows) == (3, 2)
    assert store.test.indices.tolist() == [1, 4, 3, 4]
    assert store.test.labels.tolist() == [1.0, -1.0]


def test_a_test_file_may_have_more_columns(tmp_path: Path) -> None:
    store = store_of(tmp_path, "1 1:1\n-1 2:1\n", "1 5:1\n")
    assert store.manifest.columns == 6


@pytest.mark.parametrize(
    ("told", "content", "columns"), [("auto", "1 1:1", 3), ("0", "1 1:1", 4), ("auto", "1 0:1", 4)]
)
def test_how_a_file_counts_is_said_and_kept(
    tmp_path: Path, told: str, content: str, columns: int
) -> None:
    """A file to predict is read by that, whether or not it has a column 0 itself."""
    source = tmp_path / "rows.svm"
    source.write_text(f"{content}\n0 2:1\n1 1:1\n0 2:1\n")
    made = prepare("svmlight", source=source, out=tmp_path / "s", options={"first_column": told})
    assert made.store.manifest.columns == columns
    from_one = columns == 3
    assert bool(made.assumed) == from_one
    new = tmp_path / "new.svm"
    new.write_text("0 1:1\n")
    assert made.store.encoding is not None
    rows = read_alike(made.store.encoding, new).rows
    assert rows.indices.tolist() == [0 if from_one else 1, columns - 1]
    assert rows.n_columns == columns
    new.write_text("0 0:1\n7 1:1\n")
    sentence = "counts from 1: .*" if from_one else "row 2 of .* has the label 7, but the model te"
    with pytest.raises(DataError, match=sentence):
        read_alike(made.store.encoding, new)


def test_a_file_with_a_column_0_does_not_count_from_1(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has a column 0, so it cannot count from 1"):
        store_of(tmp_path, "1 0:1\n-1 2:1\n", first_column="1")


def test_another_test_file_is_another_store(tmp_path: Path) -> None:
    store_of(tmp_path, "1 1:1\n-1 2:1\n", "1 1:1\n")
    with pytest.raises(UsageError, match="holds another store"):
        store_of(tmp_path, "1 1:1\n-1 2:1\n", "-1 1:1\n")


def test_any_two_labels(tmp_path: Path) -> None:
    store = store_of(tmp_path, "2 1:1\n5 2:1\n2 1:1\n5 1:1\n2 2:1\n")
    assert set(store.train.labels) | set(store.test.labels) == {-1.0, 1.0}
    assert store.manifest.classes == ("2", "5")


def test_the_largest_column_that_can_be_read(tmp_path: Path) -> None:
    """The constant column after it has a number that 32 bits do not hold."""
    largest = 2**31 - 1
    store = store_of(tmp_path, f"1 0:1 {largest}:1\n-1 2:1\n1 1:1\n-1 1:1\n1 0:1\n")
    assert store.manifest.columns == largest + 2
    assert int(store.train.indices.max()) == largest + 1
    store.check_rows()
    (tmp_path / "more.svm").write_text(f"1 {largest + 1}:1\n")
    assert store.encoding is not None
    with pytest.raises(DataError, match=f"column beyond {largest}, which is the largest that can"):
        read_alike(store.encoding, tmp_path / "more.svm")


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("1 2147483648:1\n0 1:1\n", {}, "names a column beyond 2147483647, which is the largest"),
        (f"1 {2**64 + 1}:1\n0 1:1\n", {}, "names a column beyond 2147483647"),
        ("1 1:1 2:1e200\n0 1:1\n", {}, r"row 1 of .* holds 1e\+200, whose square is no number"),
        ("1 1:1\n-1e200 1:1\n", {}, r"row 2 of .* holds -1e\+200, whose square is no number"),
        (
            "".join(f"{2**53 + i // 2} 1:1\n" for i in range(8)),
            {"labels": "classes"},
            "has classes of 9007199254740992 or more, where two whole numbers may be read as one",
        ),
        ("", {}, "has no row; name a file with rows"),
        ("1 1:1\n", {}, "the source has 1 row; at least 2 are needed"),
        ("1 1:1\n-1 2:x\n", {}, "cannot be read as svmlight: .*expected lines such as '1 3:0.5"),
        ("x,y\n1,2\n", {}, "cannot be read as svmlight"),
        ("1 1:1\n-1 2:nan\n", {}, "row 2 of .* holds a number that is not finite; fill it in"),
        ("1 1:1\ninf 2:1\n", {}, "row 2 of .* holds a number that is not finite"),
        ("1 1:1\n2 1:1\n3 1:1\n", {"labels": "two-classes"}, "3 distinct values; two classes need"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as refused:
        store_of(tmp_path, content, **options)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "s").exists()


def test_a_bad_test_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 1 of .*test\.svm holds a number that is not finite"):
        store_of(tmp_path, "1 1:1\n-1 2:1\n", "1 1:inf\n")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prepare svmlight needs a file"):
        prepare("svmlight", source=None, out=tmp_path / "s")


def test_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"need scikit-learn: pip install 'erasurehead\[data\]'"):
        store_of(tmp_path, "1 1:1\n-1 2:1\n")
