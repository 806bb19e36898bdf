from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from erasurehead.datasets.manifest import MANIFEST
from erasurehead.datasets.remote import default_cache
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from tests.support.small_rows import assert_same_rows


@pytest.fixture
def uploaded(small_store: Store) -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    memory.put(str(small_store.path), "/bucket/small", recursive=True)
    yield "memory://bucket/small"
    memory.rm("/bucket", recursive=True)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_store_in_memory(small_store: Store, uploaded: str, cache: Path) -> None:
    opened = Store.open(uploaded, cache)
    opened.verify()
    assert_same_rows(opened.train, small_store.train)
    assert opened.path == cache / small_store.digest
    assert [p.name for p in cache.iterdir()] == [small_store.digest]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_store_at_a_file_url(small_store: Store, cache: Path, slash: str) -> None:
    opened = Store.open(f"file://{small_store.path}{slash}", cache)
    assert_same_rows(opened.test, small_store.test)


def test_a_digest_that_is_there_is_not_fetched_again(uploaded: str, cache: Path) -> None:
    """Only the manifest is read: the second time the arrays are gone at the source."""
    first = Store.open(uploaded, cache)
    memory = fsspec.filesystem("memory")
    for name in first.manifest.arrays:
        memory.rm(f"/bucket/small/{name}.npy")
    assert Store.open(uploaded, cache).digest == first.digest


def test_a_cut_copy_in_the_cache_is_fetched_again(uploaded: str, cache: Path) -> None:
    path = Store.open(uploaded, cache).path
    (path / "labels.npy").write_bytes(b"cut")
    Store.open(uploaded, cache).verify()


def test_the_default_cache_is_the_users(
    uploaded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert Store.open(uploaded).path.parent == tmp_path / "users" / "erasurehead" / "stores"


def test_a_user_without_a_home_has_a_cache_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert default_cache().parent == tmp_path
    assert default_cache().stat().st_mode & 0o077 == 0


def test_a_damaged_array_is_not_kept(uploaded: str, cache: Path) -> None:
    """It used to be taken for whole as long as its size was right, and kept for ever."""
    memory = fsspec.filesystem("memory")
    content = memory.cat_file("/bucket/small/labels.npy")
    memory.pipe("/bucket/small/labels.npy", content[:-1] + b"\1")
    with pytest.raises(DataError, match=r"small/labels\.npy is damaged: .*; upload the store"):
        Store.open(uploaded, cache)
    assert not list(cache.iterdir())


def test_a_manifest_cannot_name_a_place_outside_the_cache(uploaded: str, cache: Path) -> None:
    """Its digest used to become a path as it was."""
    memory = fsspec.filesystem("memory")
    raw = json.loads(memory.cat_file(f"/bucket/small/{MANIFEST}"))
    raw["digest"] = "../escaped"
    memory.pipe(f"/bucket/small/{MANIFEST}", json.dumps(raw).encode())
    with pytest.raises(DataError, match="store memory://bucket/small is damaged: its digest"):
        Store.open(uploaded, cache)
    assert not (cache.parent / "escaped").exists()


def test_nothing_there(cache: Path) -> None:
    with pytest.raises(DataError, match="cannot copy a store from memory://nowhere to"):
        Store.open("memory://nowhere", cache)


def test_an_array_is_missing(uploaded: str, cache: Path) -> None:
    fsspec.filesystem("memory").rm("/bucket/small/test_labels.npy")
    with pytest.raises(DataError, match="cannot copy a store"):
        Store.open(uploaded, cache)
    assert not list(cache.iterdir())


def test_an_unknown_kind_of_url(cache: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read nosuch://x: .*name a directory or a URL"):
        Store.open("nosuch://x", cache)


def test_a_faster_process_is_no_error(
    small_store: Store, uploaded: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. The digest is not there. 2. While it is copied, another process finishes the same."""
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        shutil.copytree(small_store.path, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    assert Store.open(uploaded, cache).digest == small_store.digest
    assert [p.name for p in cache.iterdir()] == [small_store.digest]


def test_without_fsspec(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"needs fsspec: pip install 'erasurehead\[remote\]'"):
        Store.open("memory://bucket/small", cache)
