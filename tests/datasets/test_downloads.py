"""What scikit-learn's fetchers return, injected: the publishers' files in its form."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from erasurehead.datasets.covertype import Covertype
from erasurehead.datasets.prepare import PreparedStore, prepare
from erasurehead.errors import DataError, UsageError
from tests.support.published_files import PUBLISHED

Prepared = Callable[[str], PreparedStore]


@pytest.fixture
def openml(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Answer as OpenML does; returns the queries made."""
    queries: list[dict[str, Any]] = []

    def fetch(**query: Any) -> Any:
        queries.append(query)
        if query.get("data_id") == 4135:  # every column a category, the target first or last
            frame = pd.read_csv(shared_data / PUBLISHED["amazon"]).astype("string")
            frame = frame.rename(columns={"ACTION": "target"}).astype("category")
            frame = frame[[*frame.columns[1:], "target"]]
        else:
            assert query["name"] == "house_sales"
            frame = pd.read_csv(shared_data / PUBLISHED["kc-housing"]).drop(columns=["id", "date"])
        return SimpleNamespace(frame=frame)

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    return queries


@pytest.mark.parametrize("name", ["amazon", "kc-housing"])
def test_openml_gives_the_same_rows_as_the_file(
    prepared: Prepared, openml: list[dict[str, Any]], tmp_path: Path, name: str
) -> None:
    made = prepare(name, source=None, out=tmp_path / "s", download=True)
    assert made.store.digest == prepared(name).store.digest
    assert len(openml) == 1, "fetched once, not for the digest and for the rows"
    assert openml[0]["as_frame"] is True
    assert prepare(name, source=None, out=tmp_path / "s", download=True).reused


def test_fetch_covtype_gives_the_same_rows_as_the_file(
    prepared: Prepared, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows themselves are compared: hundreds of megabytes need not be written again."""

    def fetch() -> Any:
        frame = pd.read_csv(shared_data / PUBLISHED["covertype"], header=None, dtype=np.int32)
        table = frame.to_numpy()
        return SimpleNamespace(data=table[:, :-1].astype(np.float64), target=table[:, -1])

    monkeypatch.setattr(sklearn.datasets, "fetch_covtype", fetch)
    encoded, held = Covertype(None, True).encode(), prepared("covertype").store
    assert encoded.target == held.manifest.target
    for rows, published in ((encoded.train, held.train), (encoded.test, held.test)):
        assert rows.n_columns == published.n_columns
        assert rows.values is published.values is None
        for name in ("indptr", "indices", "labels"):
            ours, theirs = getattr(rows, name), getattr(published, name)
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_a_table_that_is_not_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(**_: Any) -> Any:
        return SimpleNamespace(frame=pd.DataFrame({"price": [1.0], "bedrooms": [2]}))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with pytest.raises(DataError, match=r"for kc-housing has 1 rows and lacks bathrooms, .*21613"):
        prepare("kc-housing", source=None, out=tmp_path / "s", download=True)
    with pytest.raises(DataError, match=r"for amazon has 1 rows and lacks RESOURCE, .*32769 rows"):
        prepare("amazon", source=None, out=tmp_path / "s", download=True)


def test_a_covertype_of_another_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch() -> Any:
        return SimpleNamespace(data=np.ones((5, 54)), target=np.ones(5))

    monkeypatch.setattr(sklearn.datasets, "fetch_covtype", fetch)
    with pytest.raises(DataError, match="has 5 rows and 55 columns, expected 581012 and 55"):
        prepare("covertype", source=None, out=tmp_path / "s", download=True)


@pytest.mark.parametrize("name", ["amazon", "kc-housing", "covertype"])
def test_no_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fail)
    monkeypatch.setattr(sklearn.datasets, "fetch_covtype", fail)
    with pytest.raises(DataError, match=r"failed \(OSError: Name or service not known\).*--from"):
        prepare(name, source=None, out=tmp_path / "s", download=True)
    assert not (tmp_path / "s").exists()


def test_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"need scikit-learn: pip install 'erasurehead\[data\]'"):
        prepare("amazon", source=None, out=tmp_path / "s", download=True)


@pytest.mark.skipif(
    "TEST_DOWNLOADS" not in os.environ,
    reason="fetches from OpenML and UCI; set TEST_DOWNLOADS=1 where there is a network",
)
@pytest.mark.parametrize("name", ["amazon", "covertype", "kc-housing"])
def test_the_network_itself(prepared: Prepared, tmp_path: Path, name: str) -> None:
    made = prepare(name, source=None, out=tmp_path / "s", download=True)
    assert made.store.manifest.columns == prepared(name).store.manifest.columns
