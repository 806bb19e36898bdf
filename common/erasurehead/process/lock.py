"""A lock on a file that ends with the process that holds it, however that process ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""What file systems say that know no locks."""


LOOKS, LOOK_S = 3, 0.02
"""How often a lock is tried, and the seconds between: `holder_of` may have it for an instant."""


class LockedError(Exception):
    """Another process holds the lock; `holder` is what that process wrote of itself."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class FileLock:
    """An exclusive lock (``flock``) on a file of its own; a context manager.

    The system takes the lock from a process that dies, and the file that a killed process leaves
    behind stops nobody. File systems of a network (NFS, CephFS) lock between machines.

    Parameters
    ----------
    path: the file; it is made, and removed when the lock is given back.
    owner: what a process reads that finds it locked.

    Attributes
    ----------
    effective: False if the file system knows no locks, so that nothing keeps others out.

    Raises
    ------
    LockedError: another process holds it, or another lock of this process.
    OSError: the file cannot be made.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self.effective = True
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._take()
            except BaseException:
                os.close(self._file)
                raise
            if self._named():
                break
            os.close(self._file)  # its holder removed the file after it was opened here
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, owner.encode(), 0)

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if self._file < 0:
            return
        # The file goes while it is still locked: nobody else's can be there under its name.
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _take(self) -> None:
        for attempt in range(LOOKS):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt == LOOKS - 1:
                    raise LockedError(_told(self._file)) from None
                time.sleep(LOOK_S)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                self.effective = False
                return
            else:
                return

    def _named(self) -> bool:
        """Return whether the open file is the one that has the name."""
        held = os.fstat(self._file)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


def holder_of(path: Path) -> str | None:
    """Return what the holder of a lock wrote of itself; None: there is none that one can see."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(file)
    except OSError:
        return None
    finally:
        os.close(file)
    return None


def _told(file: int) -> str:
    """Return what is written in the file of a lock."""
    return os.pread(file, 4096, 0).decode(errors="replace")
