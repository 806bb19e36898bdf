"""Lines at the end of a file, some of which wait while the disk takes none."""

from __future__ import annotations

import os
from collections import deque
from io import FileIO
from itertools import islice
from pathlib import Path

KEPT_BYTES = 64 << 20
"""Of the lines of one file that may wait, if they are more than one line."""

PIECE_BYTES = 1 << 20
"""Of lines that are written at once: each attempt copies these, and not all that wait."""


class Appender:
    """Lines at the end of a file, whole or not at all.

    Parameters
    ----------
    path: a new file, unless `end` is given.
    end: bytes of an old file that are kept.

    Attributes
    ----------
    lost: lines that found no room among those that wait.

    Raises
    ------
    OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, end: int | None = None) -> None:
        if end is None:
            self._file: FileIO = path.open("xb", buffering=0)
        else:
            path.touch()
            self._file = path.open("r+b", buffering=0)
            self._file.truncate(end)
            self._file.seek(end)
        self._end = end or 0
        self._lines: deque[bytes] = deque()
        self._n_bytes = 0
        self.lost = 0

    @property
    def whole(self) -> bool:
        """Whether every line is in the file."""
        return not self._lines and not self.lost

    def add(self, line: bytes) -> None:
        """Queue a line, if there is room."""
        if self._lines and self._n_bytes + len(line) >= KEPT_BYTES:
            self.lost += 1
            return
        self._lines.append(line + b"\n")
        self._n_bytes += len(line) + 1

    def flush(self) -> None:
        """Hand queued lines to the system.

        Raises
        ------
        OSError: it does not take them; those that it has not taken stay queued.
        """
        while self._lines:
            piece = bytearray(self._lines[0])
            n_lines = 1
            for line in islice(self._lines, 1, None):
                if len(piece) + len(line) > PIECE_BYTES:
                    break
                piece += line
                n_lines += 1
            self._write(bytes(piece))
            for _ in range(n_lines):
                self._lines.popleft()
            self._n_bytes -= len(piece)

    def _write(self, text: bytes) -> None:
        if self._file.tell() != self._end:
            # Half a line from a write that failed.
            self._file.truncate(self._end)
            self._file.seek(self._end)
        done = 0
        while done < len(text):
            done += self._file.write(text[done:]) or 0
        self._end += len(text)

    def sync(self) -> None:
        """Flush, and wait until the disk has it.

        Raises
        ------
        OSError: as for `flush`.
        """
        self.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
