"""The three data sets of the paper, from the publishers' files, and files that are not those."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, hstack
from sklearn.preprocessing import OneHotEncoder

from erasurehead.datasets import amazon, covertype, kc_housing
from erasurehead.datasets.prepare import PreparedStore, prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from tests.support.published_files import PUBLISHED
from tests.support.small_rows import matrix_of

Prepared = Callable[[str], PreparedStore]
PINNED = {"amazon": amazon.FILE, "covertype": covertype.FILE, "kc-housing": kc_housing.FILE}


def published_split(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (training, test) rows, written out here anew."""
    order = np.random.RandomState(0).permutation(n_rows)
    n_test = int(np.ceil(0.2 * n_rows))
    return order[n_test:], order[:n_test]


def assert_is(store: Store, table: np.ndarray, labels: np.ndarray) -> None:
    """Compare with scikit-learn's encoding of all rows."""
    one_hot = OneHotEncoder(dtype=np.float64).fit_transform(table)
    expected = csr_array(hstack([one_hot, np.ones((len(table), 1))], format="csr"))
    for part, chosen in zip((store.train, store.test), published_split(len(table)), strict=True):
        assert abs(matrix_of(part) - expected[chosen]).max() == 0
        np.testing.assert_array_equal(part.labels, labels[chosen])


@pytest.mark.parametrize(
    ("name", "rows", "columns", "per_row", "target"),
    [
        ("amazon", 26_215, 241_915, 44, "two classes"),
        ("covertype", 396_112, 15_509, 55, "two classes"),
        ("kc-housing", 17_290, 27_654, 19, "numbers"),
    ],
)
def test_the_papers_sizes(
    prepared: Prepared, name: str, rows: int, columns: int, per_row: int, target: str
) -> None:
    store = prepared(name).store
    manifest = store.manifest
    assert (manifest.rows, manifest.columns, manifest.target) == (rows, columns, target)
    assert manifest.test_rows == -(-(manifest.rows + manifest.test_rows) // 5)
    assert manifest.values_are_ones
    for part in (store.train, store.test):
        assert (np.diff(part.indptr) == per_row).all()
        assert (np.asarray(part.indices).reshape(-1, per_row)[:, -1] == columns - 1).all()
    seen = np.zeros(columns, dtype=bool)
    seen[store.train.indices] = True
    seen[store.test.indices] = True
    assert seen.all()
    store.verify()


def test_kc_housing_is_scikit_learns_encoding(prepared: Prepared, shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / PUBLISHED["kc-housing"])
    table = frame.loc[:, "bedrooms":"sqft_lot15"].to_numpy().astype(np.float64)
    assert_is(prepared("kc-housing").store, table, frame["price"].to_numpy() / 1e6)


def test_amazon_is_scikit_learns_encoding(prepared: Prepared, shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / PUBLISHED["amazon"])
    table = frame.drop(columns="ACTION").to_numpy().astype(np.int64)
    pairs = [p for p in combinations(range(9), 2) if p not in {(5, 7), (2, 3)}]
    joined = np.column_stack([table[:, i] * 10**7 + table[:, j] for i, j in pairs])
    both = np.hstack([table, joined])
    assert_is(prepared("amazon").store, both, 2.0 * frame["ACTION"].to_numpy() - 1.0)


def test_covertype_rows_are_those_of_the_file(prepared: Prepared, shared_data: Path) -> None:
    """Every 400th row decoded, by the distinct values of each column over types 1 and 2."""
    with gzip.open(shared_data / PUBLISHED["covertype"]) as file:
        table = pd.read_csv(file, header=None, dtype=np.int32).to_numpy()
    table = table[np.isin(table[:, -1], [1, 2])]
    features, kind = table[:, :-1], table[:, -1]
    distinct = [np.unique(column) for column in features.T]
    ends = np.cumsum([len(values) for values in distinct])
    value_of_column = np.concatenate(distinct)
    store = prepared("covertype").store
    for part, chosen in zip((store.train, store.test), published_split(len(table)), strict=True):
        columns = np.asarray(part.indices).reshape(-1, 55)[::400, :-1]
        np.testing.assert_array_equal(value_of_column[columns], features[chosen][::400])
        assert (columns < ends).all()
        assert (columns >= ends - [len(values) for values in distinct]).all()
        np.testing.assert_array_equal(part.labels, np.where(kind[chosen] == 1, -1.0, 1.0))


def test_a_plain_file_gives_the_same_store(
    prepared: Prepared, shared_data: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "houses.csv"
    plain.write_bytes(gzip.decompress((shared_data / PUBLISHED["kc-housing"]).read_bytes()))
    made = prepare("kc-housing", source=plain, out=tmp_path / "s")
    assert made.store.digest == prepared("kc-housing").store.digest
    provenance = made.store.manifest.provenance
    assert provenance.source == "houses.csv"
    assert provenance.source_sha256 == hashlib.sha256(plain.read_bytes()).hexdigest()


def test_the_same_source_is_prepared_once(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / PUBLISHED["kc-housing"]
    first, again = (prepare("kc-housing", source=source, out=tmp_path / "s") for _ in range(2))
    assert not first.reused
    assert again.reused
    assert again.store.digest == first.store.digest


@pytest.mark.parametrize("name", PINNED)
def test_another_file_is_refused_with_what_was_expected_and_found(
    name: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(b"a,b,c\n1,2,3\n")
    pinned = PINNED[name]
    with pytest.raises(DataError) as refused:
        prepare(name, source=wrong, out=tmp_path / "s")
    assert str(refused.value) == (
        f"{wrong} is not {pinned.name}: expected {pinned.n_bytes} bytes, {pinned.n_lines} lines of"
        f" {pinned.n_columns} columns with SHA-256 {pinned.sha256}, found 12 bytes, 2 lines of 3"
        f" columns with {hashlib.sha256(wrong.read_bytes()).hexdigest()};"
        f" get it from {pinned.where}"
    )
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", PINNED)
def test_what_is_said_to_be_expected_is_what_the_file_is(shared_data: Path, name: str) -> None:
    plain = gzip.decompress((shared_data / PUBLISHED[name]).read_bytes())
    pinned = PINNED[name]
    assert len(plain) == pinned.n_bytes
    assert plain.count(b"\n") == pinned.n_lines
    assert plain.split(b"\n", 1)[0].count(b",") + 1 == pinned.n_columns
    assert hashlib.sha256(plain).hexdigest() == pinned.sha256


def test_a_cut_gzip_file(shared_data: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes((shared_data / PUBLISHED["amazon"]).read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"unpacks to 2037893 bytes, found a gzip .*, of 100000 by"):
        prepare("amazon", source=cut, out=tmp_path / "s")


def test_a_cut_plain_file(shared_data: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv"
    plain = gzip.decompress((shared_data / PUBLISHED["amazon"]).read_bytes())
    cut.write_bytes(plain[: len(plain) // 2])
    with pytest.raises(DataError, match=r"expected 2037893 bytes, .* found 1018946 bytes, \d+ "):
        prepare("amazon", source=cut, out=tmp_path / "s")


@pytest.mark.parametrize("name", PINNED)
def test_no_file_at_all(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*: No such file or directory; give the"):
        prepare(name, source=tmp_path / "none", out=tmp_path / "s")
    with pytest.raises(UsageError, match=f"prepare {name} needs the file .*--from, or .*--down"):
        prepare(name, source=None, out=tmp_path / "s")
