"""Checkpoints: atomic, checked, the last few kept, an older one when the newest is damaged."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.datasets.store import Store
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.messages import PROTOCOL_VERSION, Hello
from erasurehead_master.keep.checkpoint import (
    CheckpointDirectory,
    CheckpointWriter,
    Snapshot,
)
from erasurehead_master.keep.restore import restore
from erasurehead_master.machine.events import Received
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.finishing import make_finishing
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.seams import Outcome
from erasurehead_master.run.setup import make_descent


def snapshot(round_: int) -> Snapshot:
    rng = np.random.default_rng(round_)
    arrays = {"optimizer/theta": rng.standard_normal(50), "estimate/rounds": np.arange(3)}
    return Snapshot(round_, "run", RunTimes(1.5 * round_, 1.25 * round_, 0.2), arrays)


def same(a: Snapshot | None, b: Snapshot) -> bool:
    return (
        a is not None
        and (a.round, a.run, a.times) == (b.round, b.run, b.times)
        and a.arrays.keys() == b.arrays.keys()
        and all(np.array_equal(a.arrays[k], b.arrays[k]) for k in b.arrays)
    )


def test_the_newest_is_loaded_and_the_oldest_are_dropped(tmp_path: Path) -> None:
    directory = CheckpointDirectory(tmp_path / "c", keep=3)
    assert directory.load(99) == (None, [])
    for round_ in (5, 10, 15, 20):
        directory.save(snapshot(round_))
    assert len(list((tmp_path / "c").iterdir())) == 3
    found, passed = directory.load(99)
    assert same(found, snapshot(20))
    assert not passed
    assert found is not None
    assert set(found.part("optimizer")) == {"theta"}


def test_one_ahead_of_the_records_is_passed_over(tmp_path: Path) -> None:
    directory = CheckpointDirectory(tmp_path, keep=3)
    for round_ in (5, 10):
        directory.save(snapshot(round_))
    found, (sentence,) = directory.load(9)
    assert same(found, snapshot(5))
    assert "ahead of the last recorded round 9" in sentence


@given(cut=st.integers(0, 3000), flip=st.integers(1, 255), truncate=st.booleans())
def test_any_damage_is_noticed(cut: int, flip: int, truncate: bool) -> None:
    """A cut or a flipped byte anywhere makes the file unreadable, never a wrong state."""
    content = bytearray(snapshot(3).to_bytes())
    at = cut % len(content)
    if truncate:
        content = content[:at]
    else:
        content[at] ^= flip
    with pytest.raises(ValueError):  # noqa: PT011
        Snapshot.from_bytes(bytes(content))


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path) -> None:
    directory = CheckpointDirectory(tmp_path, keep=3)
    for round_ in (5, 10):
        directory.save(snapshot(round_))
    newest = tmp_path / "round-000000010.ckpt"
    newest.write_bytes(newest.read_bytes()[:-7])
    found, (sentence,) = directory.load(99)
    assert same(found, snapshot(5))
    assert "round-000000010.ckpt is damaged" in sentence


def test_a_full_disk_leaves_the_old_ones_valid(tmp_path: Path) -> None:
    """The real error of a full device: /dev/full answers every write with ENOSPC."""
    directory = CheckpointDirectory(tmp_path, keep=3)
    directory.save(snapshot(5))
    (tmp_path / "round-000000010.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        directory.save(snapshot(10))
    found, passed = directory.load(99)
    assert same(found, snapshot(5))
    assert not passed
    assert [p.name for p in tmp_path.iterdir()] == ["round-000000005.ckpt"]


def test_a_resume_lifts_bans(small: Path) -> None:
    """Somebody else may have had the banned name; who still lies is banned again."""
    store = Store.open(small)
    settings = load(RunSettings, {"store": str(small), "workers": 3, "scheme": "uncoded"})
    plan = make_plan(settings, store, None)
    before, descent = Master(plan, 0.0), make_descent(plan, store.train)
    before.handle(Received(b"1", Hello(PROTOCOL_VERSION, "liar", "1", "h")), 0.0)
    before.membership.ban(before.membership.members[b"1"])
    before.handle(Received(b"1", Hello(PROTOCOL_VERSION, "liar", "1", "h")), 0.0)
    assert before.admission.refused == {"set-aside": 1}
    kept = Snapshot(5, plan.run, RunTimes(1.5), {**descent.state(), **before.state()})
    again = Master(plan, 0.0, first_round=6)
    finishing = make_finishing(plan, descent, rated=True)
    restore(again, make_descent(plan, store.train), finishing, Snapshot.from_bytes(kept.to_bytes()))
    again.handle(Received(b"1", Hello(PROTOCOL_VERSION, "liar", "1", "h")), 0.0)
    assert not again.admission.refused
    assert list(again.membership.members) == [b"1"]


def test_the_writer_tells_what_became_of_each(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    good = CheckpointWriter(CheckpointDirectory(tmp_path / "good", keep=2))
    good.submit(snapshot(1))
    good.close()
    assert good.outcomes() == [(1, None)]
    bad = CheckpointWriter(CheckpointDirectory(tmp_path / "file", keep=2))
    bad.submit(snapshot(1))
    bad.close()
    assert bad.outcomes() == [(1, "File exists")]


def test_want_of_memory_loses_a_checkpoint_and_not_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CheckpointWriter(CheckpointDirectory(tmp_path, keep=2))
    with monkeypatch.context() as little:
        little.setattr(Snapshot, "to_bytes", no_memory)
        writer.submit(snapshot(1))
        told: list[Outcome] = []
        until = time.monotonic() + 30
        while not told and time.monotonic() < until:
            told += writer.outcomes()
    assert told == [(1, "there is not enough memory for it")]
    writer.submit(snapshot(2))
    writer.close()
    assert writer.outcomes() == [(2, None)]


def no_memory(self: Snapshot) -> bytes:
    raise MemoryError


def test_what_was_passed_over_takes_no_place_of_new_ones(tmp_path: Path) -> None:
    """1. Three checkpoints are ahead of the records. 2. The run goes on from an older one."""
    directory = CheckpointDirectory(tmp_path, keep=3)
    directory.save(snapshot(10))
    for round_ in (80, 90, 100):
        CheckpointDirectory(tmp_path, keep=9).save(snapshot(round_))
    found, passed = directory.load(12)
    assert same(found, snapshot(10))
    assert len(passed) == 3
    directory.forget_beyond(10)
    for round_ in (15, 20, 25):
        directory.save(snapshot(round_))
    found, passed = directory.load(27)
    assert same(found, snapshot(25))
    assert not passed
