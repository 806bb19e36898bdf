"""A worker's rows are the same wherever they come from, and damage never gets into them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store, write_store
from erasurehead.errors import DataError
from erasurehead.models.partial_sums import PartialSums
from erasurehead.rows import CsrRows
from erasurehead.settings import sources
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import TO_WORKER, Task
from erasurehead_master.machine.actions import SendTask
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.streaming import TaskStreamer
from erasurehead_worker.machine.actions import Load
from erasurehead_worker.shell import rows as rows_module
from erasurehead_worker.shell.rows import RowSource

SLOT = 1
SCHEMES = ["uncoded", "egc:c=2", "cyclic-mds:s=1 / least-squares / exact"]


@pytest.fixture(params=["categories", "dense", "weighed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with implied ones, or with values, or with weights and offsets."""
    options = {"rows": "500", "columns": "40", "nnz": "5", "seed": "1"}
    if request.param == "dense":
        options["dense"] = "true"
    made = prepare("synthetic", source=None, out=tmp_path / "store", options=options).store
    if request.param != "weighed":
        return made
    rng = np.random.default_rng(4)

    def weighed(rows: CsrRows) -> CsrRows:
        n = len(rows.labels)
        return replace(rows, weights=rng.uniform(0.5, 2, n), offsets=rng.standard_normal(n))

    manifest, parts = made.manifest, (weighed(made.train), weighed(made.test))
    return write_store(
        tmp_path / "weighed", "weighed", manifest.target, *parts, manifest.provenance
    )


def plan_of(store: Store, scheme: str = "egc:c=2", reference: str | None = None) -> RunPlan:
    """Return a plan whose tasks are streamed in several chunks each."""
    given = {
        "store": str(store.path),
        "scheme": scheme,
        "workers": 4,
        "wire": {"chunk_bytes": 1024},
    }
    plan = make_plan(sources.load(RunSettings, given, environment={}), store, reference)
    assert all(plan.n_chunks(task) > 2 for task in range(plan.code.n_tasks))
    return plan


def streamed(plan: RunPlan, store: Store) -> Iterator[Task]:
    """Yield what the master sends, as it comes off the wire."""
    streamer = TaskStreamer(store.train)
    for task in plan.tasks_of(SLOT).tolist():
        for chunk in range(plan.n_chunks(task)):
            rows = plan.chunk_range(task, chunk)
            asked = SendTask(b"peer", 0, task, chunk, plan.n_chunks(task), rows)
            frames = [bytes(f) for f in encode(streamer.chunk(asked))]
            yield decode(frames, TO_WORKER)


def last(pieces: Iterator[PartialSums | None]) -> PartialSums:
    *before, rows = pieces
    assert all(piece is None for piece in before)
    assert rows is not None
    return rows


def load_of(plan: RunPlan, digest: str | None = None) -> Load:
    """Return what a worker's machine asks for when it is assigned, of this store or another."""
    assign = plan.assign(SLOT, 0)
    return Load(
        assign if digest is None else msgspec.structs.replace(assign, digest=digest), plan.model
    )


def read_by_stream(source: RowSource, load: Load, plan: RunPlan, store: Store) -> PartialSums:
    """Find nothing at hand, then take what the master sends."""
    with pytest.raises(DataError):
        last(source.read(load))
    for task in streamed(plan, store):
        source.feed(task)
    return last(source.finish())


def gradients(rows: PartialSums, n_parameters: int) -> list[np.ndarray]:
    theta = np.random.default_rng(2).standard_normal(n_parameters)
    theta = theta if rows.support is None else theta[rows.support]
    found: list[np.ndarray] = []
    for part in range(rows.n_parts):
        computation = rows.gradient(part, theta, 1)
        while not computation.advance():
            pass
        found += [*computation.values, np.array(computation.loss)]
    return found


def assert_same_rows(a: PartialSums, b: PartialSums, n_parameters: int) -> None:
    """The same number of rows and columns, and gradients equal to the last bit."""
    assert a.n_rows == b.n_rows > 0
    if a.support is None:
        assert b.support is None
    else:
        assert b.support is not None
        assert np.array_equal(a.support, b.support)
    for x, y in zip(gradients(a, n_parameters), gradients(b, n_parameters), strict=True):
        assert np.array_equal(x, y)
        assert np.any(x)


def read_from_store(plan: RunPlan, store: Store) -> PartialSums:
    return last(RowSource(str(store.path)).read(load_of(plan)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_streamed_rows_equal_rows_read_from_the_store(store: Store, scheme: str) -> None:
    plan = plan_of(store, scheme)
    rows = read_by_stream(RowSource(), load_of(plan), plan, store)
    assert_same_rows(rows, read_from_store(plan, store), plan.n_parameters)


def test_the_masters_reference_is_read_when_it_can_be(store: Store) -> None:
    plan = plan_of(store, reference=str(store.path))
    rows = last(RowSource().read(load_of(plan)))
    assert_same_rows(rows, read_from_store(plan, store), plan.n_parameters)


def test_pieces_do_not_show_in_the_rows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(store)
    whole = read_from_store(plan, store)
    monkeypatch.setattr(rows_module, "PIECE_ROWS", 7)
    assert_same_rows(read_from_store(plan, store), whole, plan.n_parameters)


def test_another_store_is_not_taken_for_the_masters(store: Store) -> None:
    load = load_of(plan_of(store), digest="f" * 64)
    with pytest.raises(DataError, match="digest") as refused:
        last(RowSource(str(store.path)).read(load))
    assert store.digest[:12] in str(refused.value)


def test_kept_rows_are_read_again_without_the_master(store: Store, tmp_path: Path) -> None:
    """1. Rows are streamed and kept. 2. A new process finds them by the store's digest."""
    plan = plan_of(store)
    load = load_of(plan)
    cache = tmp_path / "cache"
    first = read_by_stream(RowSource(None, cache), load, plan, store)
    kept = list((cache / store.digest).iterdir())
    assert len(kept) == len(load.assign.tasks)
    assert all(path.suffix == ".npz" for path in kept)
    again = last(RowSource(None, cache).read(load))
    assert_same_rows(again, first, plan.n_parameters)


def test_rows_of_another_digest_are_not_found(store: Store, tmp_path: Path) -> None:
    plan = plan_of(store)
    cache = tmp_path / "cache"
    read_by_stream(RowSource(None, cache), load_of(plan), plan, store)
    with pytest.raises(DataError, match="not on this machine"):
        last(RowSource(None, cache).read(load_of(plan, digest="f" * 64)))


def kept_rows(plan: RunPlan, store: Store, cache: Path) -> tuple[Load, PartialSums, Path]:
    """Stream rows into a cache; return what was asked for, the sums, and the last file."""
    load = load_of(plan)
    sums = read_by_stream(RowSource(None, cache), load, plan, store)
    lo, hi = load.assign.row_ranges[-1]
    return load, sums, cache / store.digest / f"rows-{lo}-{hi}.npz"


def damaged_versions(whole: bytes) -> list[bytes]:
    flipped = bytearray(whole)
    # More bytes than are between two arrays, which no checksum covers.
    for at in range(len(whole) // 2, len(whole) // 2 + 200):
        flipped[at] ^= 0xFF
    return [whole[: len(whole) // 2], whole[:-1], bytes(flipped), b"", b"not an archive"]


@pytest.mark.parametrize("which", range(5))
def test_damaged_kept_rows_are_asked_for_again(
    store: Store, tmp_path: Path, which: int, caplog: pytest.LogCaptureFixture
) -> None:
    """1. Rows are kept. 2. The last file is damaged. 3. All is streamed, and kept again, whole.

    Rows that were read before the damage was met must not be counted twice. (A cut-off archive
    used to end the worker with a traceback.)
    """
    plan, cache = plan_of(store), tmp_path / "cache"
    load, first, path = kept_rows(plan, store, cache)
    path.write_bytes(damaged_versions(path.read_bytes())[which])
    again = read_by_stream(RowSource(None, cache), load, plan, store)
    assert "asked for again" in caplog.text
    assert_same_rows(again, first, plan.n_parameters)
    assert_same_rows(last(RowSource(None, cache).read(load)), first, plan.n_parameters)


def test_kept_rows_that_cannot_be_are_asked_for_again(store: Store, tmp_path: Path) -> None:
    """A whole archive with columns out of range fails only after other tasks were added."""
    plan, cache = plan_of(store), tmp_path / "cache"
    load, first, path = kept_rows(plan, store, cache)
    with np.load(path) as kept:
        arrays = dict(kept)
    arrays["indices"] = arrays["indices"] + plan.n_parameters
    np.savez(path, **arrays)
    again = read_by_stream(RowSource(None, cache), load, plan, store)
    assert_same_rows(again, first, plan.n_parameters)


def test_a_cache_that_cannot_be_written_is_reported_and_survived(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the directory should be; that used to end the worker."""
    plan = plan_of(store)
    cache = tmp_path / "cache"
    cache.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        rows = read_by_stream(RowSource(None, cache), load_of(plan), plan, store)
    assert f"cannot keep streamed rows in {cache / store.digest}" in caplog.text
    assert_same_rows(rows, read_from_store(plan, store), plan.n_parameters)


def test_a_full_disk_leaves_no_half_written_rows(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    plan = plan_of(store)
    cache = tmp_path / "cache"
    monkeypatch.setattr("erasurehead.process.durable.os.fsync", full)
    rows = read_by_stream(RowSource(None, cache), load_of(plan), plan, store)
    assert "No space left on device" in caplog.text
    assert list((cache / store.digest).iterdir()) == []
    assert_same_rows(rows, read_from_store(plan, store), plan.n_parameters)


def test_a_digest_from_the_wire_cannot_lead_out_of_the_cache(store: Store, tmp_path: Path) -> None:
    plan = plan_of(store)
    load = load_of(plan, digest="../elsewhere")
    read_by_stream(RowSource(None, tmp_path / "cache"), load, plan, store)
    assert not (tmp_path / "elsewhere").exists()


def test_a_store_that_became_unreadable_leaves_no_rows_behind(store: Store, tmp_path: Path) -> None:
    """1. Part of the store's rows is read. 2. The rest makes no sense. 3. The master sends all."""
    plan = plan_of(store)
    whole = read_from_store(plan, store)
    load = load_of(plan)
    lo = int(load.assign.row_ranges[-1][0])
    file = store.path / "indices.npy"
    first = int(store.train.indptr[lo])
    indices = np.load(file)
    indices[first] = plan.n_parameters
    np.save(tmp_path / "indices.npy", indices)
    unharmed = Store.open(shutil.copytree(store.path, tmp_path / "same"))
    (tmp_path / "indices.npy").replace(file)
    source = RowSource(str(store.path))
    rows = read_by_stream(source, load, plan, unharmed)
    assert_same_rows(rows, whole, plan.n_parameters)
