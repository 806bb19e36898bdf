"""Files whose names always stand for whole ones, even after a power cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def replace_file(path: Path, write: Callable[[BinaryIO], Any], beside: Path | None = None) -> None:
    """Write a file under another name, put it in the place of `path`, and let that last.

    Parameters
    ----------
    write: is given the open file.
    beside: that other name, in the same directory; default: one for one writer at a time.

    Raises
    ------
    OSError: the disk did not take it; what was at `path` is untouched, and nothing is left beside.
    """
    beside = path.with_name(f".{path.name}.part") if beside is None else beside
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Let the names in a directory last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
