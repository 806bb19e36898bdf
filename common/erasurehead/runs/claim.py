"""A run's directory belongs to one process at a time."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from erasurehead.errors import UsageError
from erasurehead.process.lock import FileLock, LockedError
from erasurehead.runs.layout import LOCK

log = logging.getLogger(__name__)


class Claim:
    """A directory taken for one run, until it is released or this process ends; a context manager.

    The directory is made if need be, and goes again if nothing was put into it. A directory in
    which no file can be made is not claimed: `RunWriter` says what is wrong with it, and to read
    a finished run nobody needs it.

    Raises
    ------
    UsageError: another process has claimed it; the sentence names its host and its process id.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made = False
        self._lock: FileLock | None = None
        owner = f"host {os.uname().nodename}, process {os.getpid()}"
        try:
            self._made = not directory.exists()
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(directory / LOCK, owner)
        except LockedError as error:
            holder = error.holder or "in a process that has just begun it"
            raise UsageError(
                f"a run goes on in {directory} ({holder}); wait for its end, or name another"
                " directory with --out"
            ) from None
        except OSError:
            return
        if not self._lock.effective:
            log.warning(
                "the file system of %s knows no locks, so nothing keeps a second process out of"
                " this run; see that there is none",
                directory,
            )

    def release(self) -> None:
        """Let others have the directory; a second time does nothing."""
        if self._lock is not None:
            self._lock.release()
        if self._made:
            with contextlib.suppress(OSError):  # it is not empty, as a rule
                self._directory.rmdir()
            self._made = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
