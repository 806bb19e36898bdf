"""Workers on a node: as processes that end with their run, and start again when they are killed."""

from __future__ import annotations

import signal
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from erasurehead.errors import EXIT_OK, UsageError
from erasurehead.network.curve import read_public, read_secret
from erasurehead_engines.keys import fresh_keys
from erasurehead_engines.orders import Orders, Wanted
from erasurehead_engines.serving import Serving, serve
from tests.support.toy_orders import orders


def workers() -> list[psutil.Process]:
    """Return the worker processes of this process's nursery."""
    return [worker for nursery in psutil.Process().children() for worker in nursery.children()]


def until(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_killed_worker_starts_again_and_all_end_with_their_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    serving = Serving(orders("a", "b"))
    until(lambda: len(workers()) == 2)
    first = workers()
    first[0].send_signal(signal.SIGKILL)
    until(lambda: len(set(workers()) - set(first)) == 1)
    serving.end()
    assert serving.wait() == {"a": EXIT_OK, "b": EXIT_OK}
    assert psutil.Process().children() == []
    assert list(tmp_path.iterdir()) == []


def test_orders_cross_as_plain_values() -> None:
    sent = orders("a", plugin=("mine.py",))
    assert Orders.model_validate(sent.plain()) == sent
    assert [w.name for w in sent.only([sent.late] * 2).workers] == [None, None]


def test_another_version_is_refused_before_the_orders_are_read() -> None:
    with pytest.raises(UsageError, match=r"has ErasureHead .* and the master 0\.0\.1; install"):
        serve({"version": "0.0.1", "of another": "form"})


def test_each_worker_has_a_key_of_its_own_and_a_name(tmp_path: Path) -> None:
    with fresh_keys(["a", "late"]) as keys:
        assert keys.master is not None
        assert set(keys.master.allowed.names.values()) == {"a", "late"}
        late = Wanted(name=None, slot=None, secret=keys.secrets["late"])
        named = Wanted(name="a", slot=4, secret=keys.secrets["a"])
        settings = orders(public=keys.public, workers=(named, late)).settings(tmp_path)
        own = [read_secret(s.keys.secret).public.decode() for s in settings if s.keys.secret]
        assert [keys.master.allowed.names[key] for key in own] == ["a", "late"]
        for worker in settings:
            assert worker.keys.master is not None
            assert read_public(worker.keys.master) == keys.master.own.public
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.key")}
        assert modes == {0o600}
    assert not keys.master.allowed.directory.exists()
    assert (settings[0].name, settings[0].slot, settings[1].slot) == ("a", 4, None)
    assert settings[1].name
