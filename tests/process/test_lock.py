"""A lock is one process's, and ends with it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from erasurehead.process.lock import FileLock, LockedError, holder_of

HOLD = """
import sys
from pathlib import Path
from erasurehead.process.lock import FileLock
lock = FileLock(Path(sys.argv[1]), "the other one")
print("held", flush=True)
sys.stdin.read()
"""


def test_it_is_held_once_and_its_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with FileLock(path, "me"):
        with pytest.raises(LockedError) as caught:
            FileLock(path, "somebody else")
        assert caught.value.holder == "me"
    assert not path.exists()
    again = FileLock(path, "me")
    again.release()
    again.release()


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match="the other one"):
            FileLock(path, "me")
        other.kill()
    assert path.read_text() == "the other one"  # left behind, and in nobody's way
    with FileLock(path, "me"):
        assert path.read_text() == "me"


def test_a_file_that_was_removed_meanwhile_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.lock"
    first, flock = FileLock(path, "first"), fcntl.flock
    taken: list[int] = []

    def slow(file: int, operation: int) -> None:
        if not taken:
            first.release()  # between the opening of its file here and the lock on it
        taken.append(file)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    with FileLock(path, "second"):
        assert len(taken) == 2
        assert path.read_text() == "second"


def test_looking_takes_nothing_from_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.lock"
    assert holder_of(path) is None
    with FileLock(path, "me"):
        assert holder_of(path) == "me"
    path.write_text("somebody who was killed")
    assert holder_of(path) is None
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)  # somebody looks, for as long as an instant lasts
    monkeypatch.setattr(time, "sleep", lambda _: os.close(looking))
    with FileLock(path, "me"):
        assert holder_of(path) == "me"


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unknown)
    with FileLock(tmp_path / "run.lock", "me") as lock:
        assert not lock.effective
