from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead import rows as rows_module
from erasurehead.datasets import array_files, row_checks
from erasurehead.datasets.array_files import ArrayFile
from erasurehead.datasets.files import file_sha256
from erasurehead.datasets.manifest import MANIFEST
from erasurehead.datasets.row_checks import wrong_array
from erasurehead.datasets.store import Store, write_store
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows, Target
from tests.support.small_rows import MADE_UP, assert_same_rows, matrix_of, rows_of


@settings(max_examples=25)
@given(
    n_train=st.integers(0, 12),
    n_test=st.integers(0, 5),
    ones=st.booleans(),
    target=st.sampled_from(["two classes", "classes", "numbers"]),
    seed=st.integers(0, 99),
)
def test_what_was_written_is_read(
    n_train: int, n_test: int, ones: bool, target: Target, seed: int
) -> None:
    train = rows_of(n_train, ones=ones, seed=seed)
    test = rows_of(n_test, ones=ones, seed=seed + 1)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "store"
        written = write_store(path, "any", target, train, test, MADE_UP)
        opened = Store.open(path)
        opened.verify()
        assert_same_rows(opened.train, train)
        assert_same_rows(opened.test, test)
        assert opened.manifest == written.manifest
        assert opened.manifest.target == target
        assert opened.manifest.rows == n_train
        assert opened.manifest.test_nnz == test.indptr[-1]
        assert os.listdir(place) == ["store"]  # noqa: PTH208


@pytest.mark.parametrize("ones", [False, True])
def test_the_matrix_of_a_store_shares_its_maps(tmp_path: Path, ones: bool) -> None:
    train, test = rows_of(9, ones=ones), rows_of(4, ones=ones, seed=1)
    store = write_store(tmp_path / "store", "any", "numbers", train, test, MADE_UP)
    parts: list[tuple[Literal["train", "test"], CsrRows, CsrRows]] = [
        ("train", train, store.train),
        ("test", test, store.test),
    ]
    for split, rows, kept in parts:
        matrix = store.matrix(split)
        np.testing.assert_array_equal(matrix.toarray(), matrix_of(rows).toarray())
        assert np.shares_memory(matrix.indices, kept.indices)
        assert ones or np.shares_memory(matrix.data, kept.values)
        with pytest.raises(ValueError, match="read-only"):
            matrix.indices[0] = 0
    np.testing.assert_array_equal(store.matrix().toarray(), store.matrix("train").toarray())


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    """Equal for equal rows under any name, another for one label, one column or what labels are."""
    train, test = rows_of(5), rows_of(2)

    def digest(name: str, target: Target = "two classes", rows: CsrRows = train) -> str:
        part = replace(test, n_columns=rows.n_columns)
        return write_store(tmp_path / name, name, target, rows, part, MADE_UP).digest

    first = digest("a")
    assert digest("b") == first
    others = {
        digest("target", target="numbers"),
        digest("label", rows=replace(train, labels=train.labels + 1)),
        digest("columns", rows=replace(train, n_columns=7)),
    }
    assert len(others | {first}) == 4


def test_arrays_have_the_formats_dtypes_whatever_the_callers(tmp_path: Path) -> None:
    rows = rows_of(4)
    odd = replace(
        rows,
        indptr=rows.indptr.astype(np.int32),
        indices=rows.indices.astype(np.int64),
        labels=rows.labels.astype(np.float32),
    )
    opened = write_store(tmp_path / "s", "s", "two classes", odd, odd, MADE_UP)
    assert_same_rows(opened.train, rows)
    assert opened.train.indptr.dtype == np.int64
    assert opened.train.indices.dtype == np.int32
    assert opened.train.labels.dtype == np.float64


def test_column_numbers_take_eight_bytes_when_four_are_too_few(tmp_path: Path) -> None:
    last = 2**31
    rows = CsrRows(np.array([0, 1]), np.array([last]), None, np.ones(1), last + 1)
    opened = write_store(tmp_path / "wide", "wide", "two classes", rows, rows, MADE_UP)
    assert opened.train.indices.dtype == np.int64
    assert opened.train.indices[0] == last


def test_rows_of_a_name_that_there_is_not_are_refused(small_store: Store) -> None:
    """They were the test rows."""
    with pytest.raises(UsageError, match="a store has no rows called 'tests'; name 'train' or"):
        small_store.matrix("tests")  # type: ignore[arg-type]


def test_mapped_arrays_are_read_only(small_store: Store) -> None:
    assert isinstance(small_store.train.indices, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        small_store.train.labels[0] = 0.0


@given(data=st.data(), ones=st.booleans())
def test_a_row_range_is_that_of_the_matrix(data: st.DataObject, ones: bool) -> None:
    rows = rows_of(10, ones=ones)
    lo = data.draw(st.integers(0, 10))
    hi = data.draw(st.integers(lo, 10))
    part = rows.rows(lo, hi)
    expected = matrix_of(rows).toarray()[lo:hi]
    np.testing.assert_array_equal(matrix_of(part).toarray(), expected)
    np.testing.assert_array_equal(part.labels, rows.labels[lo:hi])


def test_a_row_range_copies_no_entries() -> None:
    rows = rows_of(10, ones=False)
    part = rows.rows(2, 8)
    assert rows.values is not None
    assert part.values is not None
    assert np.shares_memory(part.indices, rows.indices)
    assert np.shares_memory(part.values, rows.values)
    assert np.shares_memory(part.labels, rows.labels)


def _cut(path: Path) -> None:
    file = path / "indices.npy"
    file.write_bytes(file.read_bytes()[:-1])


def _lengthen(path: Path) -> None:
    with (path / "labels.npy").open("ab") as file:
        file.write(b"\0")


def _remove(path: Path) -> None:
    (path / "test_indptr.npy").unlink()


def _spoil_header(path: Path) -> None:
    file = path / "indptr.npy"
    file.write_bytes(b"\0" * 6 + file.read_bytes()[6:])


def _other_shape(path: Path) -> None:
    file = path / "labels.npy"
    file.write_bytes(file.read_bytes().replace(b"(9,)", b"(8,)", 1))


def _other_dtype(path: Path) -> None:
    file = path / "labels.npy"
    file.write_bytes(file.read_bytes().replace(b"<f8", b"<i8", 1))


def _other_pointer(path: Path) -> None:
    file = path / "indptr.npy"
    file.write_bytes(file.read_bytes()[:-8] + np.int64(10**6).tobytes())


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_cut, r"indices\.npy has \d+ bytes, the manifest says \d+: it was cut off or changed"),
        (_lengthen, r"labels\.npy has 201 bytes, the manifest says 200"),
        (_remove, r"test_indptr\.npy of the store cannot be read \(No such file or directory\)"),
        (_spoil_header, r"indptr\.npy is damaged \("),
        (_other_shape, r"labels\.npy holds <f8 \(8,\), the manifest says <f8 \(9,\)"),
        (_other_dtype, r"labels\.npy holds <i8 \(9,\), the manifest says <f8 \(9,\)"),
        (_other_pointer, r"indptr\.npy counts 1000000 entries, the store has \d+"),
    ],
)
def test_damage_is_seen_on_opening(
    small_store: Store, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(small_store.path)
    with pytest.raises(DataError, match=f"{sentence}.*; prepare the store again$"):
        Store.open(small_store.path)


def test_a_changed_byte_is_seen_by_verify(small_store: Store) -> None:
    file = small_store.path / "test_labels.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"test_labels\.npy is damaged: its SHA-256 is"):
        Store.open(small_store.path).verify()


@pytest.mark.parametrize(
    ("array", "where", "value", "sentence"),
    [
        (
            "indices",
            0,
            1 << 20,
            r"indices\.npy is damaged: it names columns 0 to 1048576, expected",
        ),
        ("indices", -1, -1, r"indices\.npy is damaged: it names columns -1 to"),
        ("test_indices", 0, 99, r"test_indices\.npy is damaged"),
        ("indptr", 1, 1 << 40, r"indptr\.npy is damaged: a row ends before it begins"),
        ("values", 0, np.nan, r"values\.npy is damaged: some entries are not finite"),
    ],
)
def test_rows_that_cannot_be_are_seen_before_anything_runs(
    tmp_path: Path, array: str, where: int, value: float, sentence: str
) -> None:
    path = tmp_path / "store"
    train, test = rows_of(5, ones=False), rows_of(4, ones=False)
    write_store(path, "s", "two classes", train, test, MADE_UP).check_rows()
    file = path / f"{array}.npy"
    changed = np.load(file)
    changed[where] = value
    np.save(file, changed)
    with pytest.raises(DataError, match=sentence):
        Store.open(path).check_rows()


def test_column_squares_come_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1. The sums of squares by column are those of all entries at once. 2. How many entries are
    squared at one time only moves their last bits."""
    train = rows_of(50, ones=False, seed=4)
    opened = write_store(tmp_path / "s", "s", "numbers", train, rows_of(3, ones=False), MADE_UP)
    assert train.values is not None
    expected = np.zeros(train.n_columns)
    np.add.at(expected, train.indices, np.square(train.values))
    assert opened.column_squares is not None
    np.testing.assert_allclose(opened.column_squares, expected, rtol=1e-12)
    monkeypatch.setattr(rows_module, "SQUARED_AT_ONCE", 7)
    np.testing.assert_allclose(train.column_squares(), expected, rtol=1e-12)


def test_more_columns_than_entries_are_not_squared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_files, "MOST_COLUMNS", 5)
    rows = rows_of(2)
    wide = CsrRows(rows.indptr, rows.indices, None, rows.labels, n_columns=1000)
    opened = write_store(tmp_path / "s", "s", "two classes", wide, wide, MADE_UP)
    assert opened.column_squares is None
    assert not (tmp_path / "s" / "column_squares.npy").exists()


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_squares_that_cannot_be_are_seen_before_anything_runs(
    small_store: Store, value: float
) -> None:
    file = small_store.path / "column_squares.npy"
    changed = np.load(file)
    changed[1] = value
    np.save(file, changed)
    with pytest.raises(DataError, match=r"column_squares\.npy is damaged: some are no sums of sq"):
        Store.open(small_store.path).check_rows()


def test_squares_of_other_rows_are_seen_by_verify(small_store: Store) -> None:
    """The manifest's own digest leaves them out, so a manifest may be changed with them."""
    file, manifest = small_store.path / "column_squares.npy", small_store.path / MANIFEST
    changed = np.load(file)
    changed[1] += 1.0
    np.save(file, changed)
    raw = json.loads(manifest.read_text())
    raw["arrays"]["column_squares"]["sha256"] = file_sha256(file)
    manifest.write_text(json.dumps(raw))
    with pytest.raises(DataError, match=r"column_squares\.npy is damaged: they are not those of"):
        Store.open(small_store.path).verify()


def test_what_is_wrong_may_lie_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_checks, "LOOKED_AT_ONCE", 3)
    rows = CsrRows(np.array([0, 1, 2, 1, 2]), np.zeros(2, int), None, np.zeros(4), 1)
    assert wrong_array(rows) == ("indptr", "a row ends before it begins")
    weighted = replace(rows_of(7), weights=np.array([1.0] * 6 + [-1.0]))
    assert wrong_array(weighted) == ("weights", "some are no weights: finite and not below 0")
    labelled = replace(rows_of(7), offsets=np.array([1.0] * 6 + [np.nan]))
    assert wrong_array(labelled) == ("offsets", "some entries are not finite")
    assert wrong_array(rows_of(7)) is None


def test_an_existing_directory_is_not_overwritten(small_store: Store) -> None:
    with pytest.raises(UsageError, match="exists already"):
        write_store(small_store.path, "x", "two classes", rows_of(2), rows_of(2), MADE_UP)


def test_values_are_implied_in_both_parts_or_in_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both"):
        write_store(tmp_path / "s", "s", "two classes", rows_of(2), rows_of(2, ones=False), MADE_UP)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError("72 requested and 3 written"), "72 requested and 3 written"),  # numpy's own
    ],
)
@pytest.mark.parametrize("fails_at", [1, 4, 6])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    reason: str,
    fails_at: int,
) -> None:
    written = 0
    append = ArrayFile.append

    def write_until_full(self: ArrayFile, array: np.ndarray) -> None:
        nonlocal written
        written += 1
        if written == fails_at:
            raise error
        append(self, array)

    monkeypatch.setattr(ArrayFile, "append", write_until_full)
    with pytest.raises(DataError, match=f"cannot write the store .*: {reason}; free space"):
        write_store(tmp_path / "s", "s", "two classes", rows_of(2), rows_of(2), MADE_UP)
    assert not list(tmp_path.iterdir())


KILLED_BEFORE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.small_rows import MADE_UP, rows_of
from erasurehead.datasets.store import write_store

def kill(*_): os.kill(os.getpid(), signal.SIGKILL)

setattr(*{"array": (os, "fsync"), "rename": (Path, "rename")}[sys.argv[3]], kill)
write_store(Path(sys.argv[2]), "s", "logistic", rows_of(3), rows_of(2), MADE_UP)
"""


@pytest.mark.parametrize("moment", ["array", "rename"])
def test_a_killed_writer_leaves_no_store_and_does_not_stop_the_next(
    tmp_path: Path, moment: str
) -> None:
    """1. The writer is killed. 2. There is no store. 3. Writing again works."""
    path = tmp_path / "s"
    command = [sys.executable, "-c", KILLED_BEFORE, str(Path(__file__).parent), str(path), moment]
    done = subprocess.run(command, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir())  # what was written so far, under a hidden name
    with pytest.raises(DataError, match="is not a store"):
        Store.open(path)
    write_store(path, "s", "two classes", rows_of(3), rows_of(2), MADE_UP).verify()


def test_importing_the_store_loads_numpy_only() -> None:
    script = "import sys, erasurehead.datasets.store; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"pydantic", "scipy", "pandas", "sklearn", "pyarrow", "fsspec"}
    assert not {module.partition(".")[0] for module in done.stdout.split()} & heavy
