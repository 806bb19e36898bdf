"""Rows of one width that wait on disk."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.errors import DataError, reason_of

Records = npt.NDArray[np.void]


class Spill:
    """A file of records without a name, gone with this object, when it is closed, or on a crash.

    Parameters
    ----------
    dtype: of one record.
    directory: on the disk that has the room.

    Raises
    ------
    DataError: the disk does not take it (every method).
    """

    def __init__(self, dtype: np.dtype[Any], directory: Path) -> None:
        self.dtype = dtype
        self.count = 0
        self._directory = directory
        try:
            with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise self._refused(error) from None
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)

    def append(self, records: Records) -> None:
        """Write records after the last."""
        self.write(self.count, records)

    def write(self, at: int, records: Records) -> None:
        """Write records from place `at` on."""
        content = np.ascontiguousarray(records).view(np.uint8).data
        offset = at * self.dtype.itemsize
        try:
            while content:
                written = os.pwrite(self._descriptor, content, offset)
                content, offset = content[written:], offset + written
        except OSError as error:
            raise self._refused(error) from None
        self.count = max(self.count, at + len(records))

    def read(self, lo: int, hi: int) -> Records:
        """Return the records lo to hi - 1, shape (hi - lo,).

        Raises
        ------
        EOFError: one of them was never written.
        DataError: the file cannot be read.
        """
        records = np.empty(hi - lo, dtype=self.dtype)
        content = records.view(np.uint8).data
        offset = lo * self.dtype.itemsize
        try:
            while content:
                got = os.preadv(self._descriptor, [content], offset)
                if not got:
                    raise EOFError(f"records {lo} to {hi} were not written")
                content, offset = content[got:], offset + got
        except OSError as error:
            raise self._refused(error) from None
        return records

    def _refused(self, error: OSError) -> DataError:
        return DataError(
            f"cannot keep rows in {self._directory} while they are prepared: {reason_of(error)};"
            " free space or choose another --out"
        )

    def close(self) -> None:
        """Give the room on the disk back."""
        self._finalizer()
