"""Files that a user names for a command's output: never in the place of what is something else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from erasurehead.errors import UsageError, reason_of
from erasurehead.process.durable import replace_file

STDOUT = Path("/dev/stdout")


def write_output(
    path: Path,
    kind: str,
    is_ours: Callable[[BinaryIO], bool],
    write: Callable[[BinaryIO], Any],
    option: str = "--out",
) -> None:
    """Write a file as a whole; one that is there is replaced if it is an earlier output.

    A device or a pipe is written to as it is, and so is ``/dev/stdout``.

    Parameters
    ----------
    kind: what it is, with its article ("a report").
    is_ours: whether the open file that is there was written by the same command; an empty one
        always may be replaced.
    write: is given the open file to write to.
    option: with which the user named it.

    Raises
    ------
    UsageError: something else is there, or the disk does not take it; then what was at `path` is
        untouched.
    """
    if path == STDOUT:
        # By its own name it would be opened a second time, and lines that are printed get lost.
        sys.stdout.flush()
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    check_output(path, kind, is_ours, option)
    target = Path(os.path.realpath(path))  # a link stays, and leads to the new file
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                write(file)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, write, target.with_name(f".{target.name}.{os.getpid()}.part"))
    except OSError as error:
        raise UsageError(
            f"cannot write {kind} to {path}: {reason_of(error)}; make room, or name another file"
            f" with {option}"
        ) from None


def check_output(
    path: Path, kind: str, is_ours: Callable[[BinaryIO], bool], option: str = "--out"
) -> None:
    """Refuse a place at which there is something that is no earlier output of its kind.

    Raises
    ------
    UsageError: something else is there, or it cannot be read.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a directory; name a file for {kind} with {option}")
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            ours = not file.read(1) or (file.seek(0) == 0 and is_ours(file))
    except OSError as error:
        raise UsageError(
            f"{path} is there already and cannot be read ({reason_of(error)}), so it may be"
            f" something else than {kind}; name another file with {option}"
        ) from None
    if not ours:
        raise UsageError(
            f"{path} is there already and is not {kind} that this command wrote; name another file"
            f" with {option}, or remove it"
        )
