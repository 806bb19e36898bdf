"""What a file is, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, save_npz

from erasurehead.datasets.content import content_of
from erasurehead.datasets.matrix_file import as_rows, read_matrix
from erasurehead.errors import DataError

MATRIX = np.array([[0.0, 2.0], [3.0, 0.0]])


def parquet() -> bytes:
    file = io.BytesIO()
    pd.DataFrame({"a": [1]}).to_parquet(file)
    return file.getvalue()


def saved(*, sparse: bool = False) -> bytes:
    file = io.BytesIO()
    if sparse:
        save_npz(file, csr_array(MATRIX))
    else:
        np.save(file, MATRIX)
    return file.getvalue()


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (parquet(), "parquet"),
        (saved(), "array"),
        (saved(sparse=True), "arrays"),
        (b"1 3:0.5 7:1\n-1 2:1e-3 # a comment\n", "svmlight"),
        (b"# counts from 0\n\n+1 qid:3 0:1\n0\n", "svmlight"),
        (b"a,b\n1,2\n", "text"),
        (b"a b\n1 2\n", "text"),
        (b"1,2\n3,4\n", "text"),
        (b"", "text"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_is_what_it_holds(
    tmp_path: Path, held: bytes, expected: str, compressed: bool
) -> None:
    path = tmp_path / "data.xls"
    path.write_bytes(gzip.compress(held) if compressed else held)
    assert content_of(path) == expected


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere: No such file or directory; give"):
        content_of(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is no file that can be read more than once; write"):
        content_of(tmp_path / "pipe")
    (tmp_path / "cut").write_bytes(gzip.compress(bytes(1000))[:-5])
    with pytest.raises(DataError, match=r"cannot read .*cut: "):
        content_of(tmp_path / "cut")


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (bz2.compress(b"a,b\n1,2\n"), "data is compressed by bzip2, .*; unpack it$"),
        (lzma.compress(b"a,b\n1,2\n"), "data is compressed by xz, .*; unpack it$"),
        (b"SQLite format 3\x00", "data is an SQLite database, .*; export the table as CSV$"),
    ],
)
def test_what_nothing_here_reads_is_called_what_it_is(
    tmp_path: Path, held: bytes, told: str
) -> None:
    (tmp_path / "data").write_bytes(held)
    with pytest.raises(DataError, match=told):
        content_of(tmp_path / "data")


@pytest.mark.parametrize("sparse", [False, True])
def test_a_matrix_is_rows(tmp_path: Path, sparse: bool) -> None:
    path = tmp_path / "rows"
    path.write_bytes(saved(sparse=sparse))
    rows = as_rows(read_matrix(path), constant=True)
    np.testing.assert_array_equal(rows.matrix().toarray(), np.column_stack([MATRIX, [1, 1]]))
    assert np.isnan(rows.labels).all()
    np.testing.assert_array_equal(
        as_rows(read_matrix(path), constant=False).matrix().toarray(), MATRIX
    )


def test_a_matrix_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rows"

    def write(*arrays: np.ndarray) -> None:
        with path.open("wb") as file:
            if len(arrays) == 1:
                np.save(file, arrays[0], allow_pickle=True)
            else:
                np.savez(file, *arrays)

    for arrays, told in (
        ([np.ones(3)], r"is no matrix of numbers: it holds float64 of shape \(3,\); give one row"),
        ([MATRIX, MATRIX], "is no matrix of numbers: it holds 2 arrays"),
        ([np.array([[{}]])], "is no matrix of numbers"),
        ([np.array([["a"]])], "is no matrix of numbers: it holds <U1"),
        ([np.array([[1.0, 0.0], [0.0, np.nan]])], "row 2 of .*rows holds a number that is not"),
    ):
        write(*arrays)
        with pytest.raises(DataError, match=told):
            read_matrix(path)
    for shape, told in (
        ((0, 2, 3), "rows has no rows; give one at least"),
        ((0, 6), "rows has no rows; give one at least"),
        ((4, 3, 2), r"shape \(4, 3, 2\), and rows of the training were of shape \(2, 3\); give"),
    ):
        write(np.zeros(shape))
        with pytest.raises(DataError, match=told):
            read_matrix(path, (2, 3))
    write(np.ones((4, 2, 3)))
    assert read_matrix(path, (2, 3)).shape == (4, 6)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia"])
def test_a_sparse_matrix_has_rows_of_one_axis(format: str, tmp_path: Path) -> None:
    """A model of arrays that have one axis a row refused these with a traceback."""
    path = tmp_path / "rows.npz"
    save_npz(path, csr_array(MATRIX).asformat(format))
    for row_shape in ((), MATRIX.shape[1:]):
        np.testing.assert_array_equal(read_matrix(path, row_shape).toarray(), MATRIX)


@pytest.mark.parametrize(("name", "number"), [("indices", 7), ("indices", -1), ("indptr", 90)])
def test_a_sparse_matrix_that_names_columns_it_has_not_is_none(
    name: str, number: int, tmp_path: Path
) -> None:
    """A product with it read what lies beyond the vector."""
    path = tmp_path / "rows.npz"
    for format in ("csr", "csc", "bsr"):
        matrix = csr_array(MATRIX).asformat(format)
        getattr(matrix, name)[1] = number
        save_npz(path, matrix)
        with pytest.raises(DataError, match=r"is no matrix of numbers: (it has indices|a row or)"):
            read_matrix(path)
