from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from erasurehead.datasets.encoding import Encoded
from erasurehead.datasets.manifest import MANIFEST
from erasurehead.datasets.prepare import PRESETS, PreparedStore, prepare
from erasurehead.datasets.synthetic import Synthetic
from erasurehead.errors import EXIT_USAGE, DataError, UsageError


def small(out: Path, **options: str) -> PreparedStore:
    return prepare("synthetic", source=None, out=out, options={"rows": "20", **options})


def test_a_store_is_reused_when_its_provenance_matches(tmp_path: Path) -> None:
    first = small(tmp_path / "s")
    before = {p.name: p.stat().st_mtime_ns for p in first.path.iterdir()}
    again = small(tmp_path / "s")
    assert not first.reused
    assert again.reused
    assert again.store.digest == first.store.digest
    assert {p.name: p.stat().st_mtime_ns for p in first.path.iterdir()} == before


def test_defaults_written_out_are_the_same_options(tmp_path: Path) -> None:
    small(tmp_path / "s")
    assert small(tmp_path / "s", exponent="1", dense="false", seed="0").reused


def test_other_options_do_not_overwrite(tmp_path: Path) -> None:
    kept = small(tmp_path / "s").store.digest
    with pytest.raises(UsageError, match=r"holds another store \(synthetic, encoding synthetic-1"):
        small(tmp_path / "s", seed="1")
    assert small(tmp_path / "s").store.digest == kept


def test_another_encoding_does_not_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(tmp_path / "s")
    monkeypatch.setattr(Synthetic, "encoding", "synthetic-next")
    with pytest.raises(UsageError, match="holds another store"):
        small(tmp_path / "s")


def test_a_files_content_counts_and_not_its_name(tmp_path: Path) -> None:
    """1. A table is prepared. 2. Renamed, it is the same. 3. Changed, it is another."""
    table = tmp_path / "a.csv"
    table.write_text("x,y\n1,2\n3,4\n5,7\n")
    options = {"target": "y"}
    prepare("csv", source=table, out=tmp_path / "s", options=options)
    renamed = table.rename(tmp_path / "b.csv")
    assert prepare("csv", source=renamed, out=tmp_path / "s", options=options).reused
    renamed.write_text("x,y\n1,2\n3,4\n5,8\n")
    with pytest.raises(UsageError, match=r"holds another store .*remove it or name another"):
        prepare("csv", source=renamed, out=tmp_path / "s", options=options)


@pytest.mark.parametrize("kind", ["directory", "empty directory", "file"])
def test_what_is_not_a_store_is_not_touched(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "mine"
    if kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        if kind == "directory":
            (out / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="exists and is not a store; name another directory"):
        small(out)
    assert out.exists()
    assert kind != "directory" or (out / "thesis.tex").read_text() == "mine"


def test_a_damaged_store_is_named_and_not_reused(tmp_path: Path) -> None:
    path = small(tmp_path / "s").path
    (path / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"labels\.npy of the store cannot be read.*remove .* fi"):
        small(path)


def test_a_store_of_another_format_version_is_not_reused(tmp_path: Path) -> None:
    path = small(tmp_path / "s").path
    raw = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**raw, "format_version": 5}))
    with pytest.raises(DataError, match="has format version 5, this program reads 1 to 4"):
        small(path)


def test_directories_above_are_made(tmp_path: Path) -> None:
    assert small(tmp_path / "a" / "b" / "s").path.is_dir()


def test_an_unknown_data_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown data set 'flight' \(did you mean 'flights'\?\)"):
        prepare("flight", source=None, out=tmp_path / "s")


@pytest.mark.parametrize(
    ("name", "from_file", "download", "sentence"),
    [
        ("synthetic", True, False, "synthetic is made from its options alone; leave out --from"),
        ("synthetic", False, True, "synthetic cannot be downloaded; leave out --download"),
        ("flights", False, True, "flights cannot be downloaded"),
        ("svmlight", True, True, "svmlight cannot be downloaded"),
        ("amazon", True, True, "--from and --download exclude each other; give one of them"),
    ],
)
def test_sources_that_do_not_fit(
    tmp_path: Path, name: str, from_file: bool, download: bool, sentence: str
) -> None:
    source = tmp_path / "file" if from_file else None
    with pytest.raises(UsageError, match=sentence) as refused:
        prepare(name, source=source, out=tmp_path / "s", download=download)
    assert refused.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_says_what_it_is(name: str) -> None:
    assert PRESETS.factory(name).__doc__


def test_two_processes_prepare_the_same_store(tmp_path: Path) -> None:
    """Both have encoded it when the first renames; the second takes over what the first made.

    A file in front of the rename lets both get there before either goes on.
    """
    script = """
import sys, time
from pathlib import Path
from erasurehead.datasets.prepare import prepare
rename = Path.rename
def wait(self, target):
    Path(sys.argv[2]).touch()
    while not Path(sys.argv[3]).exists():
        time.sleep(0.005)
    return rename(self, target)
Path.rename = wait
options = {"rows": "20"}
made = prepare("synthetic", source=None, out=Path(sys.argv[1]), options=options)
made.store.verify()
print(made.reused, made.store.digest)
"""
    out = tmp_path / "s"
    there = [tmp_path / "a", tmp_path / "b"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(out), str(mine), str(tmp_path / "go")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mine in there
    ]
    until = time.monotonic() + 120
    while not all(p.exists() for p in there):
        assert time.monotonic() < until, "they did not get so far"
        time.sleep(0.01)
    (tmp_path / "go").touch()
    told = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    digest = small(out).store.digest
    assert sorted(out.strip() for out, _ in told) == [f"False {digest}", f"True {digest}"]
    assert not [p.name for p in tmp_path.iterdir() if "partial" in p.name]


def test_another_store_that_was_faster_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Synthetic.encode

    def overtaken(self: Synthetic) -> Encoded:
        monkeypatch.setattr(Synthetic, "encode", encode)
        small(tmp_path / "s", seed="1")
        return encode(self)

    monkeypatch.setattr(Synthetic, "encode", overtaken)
    with pytest.raises(UsageError, match="holds another store"):
        small(tmp_path / "s")
