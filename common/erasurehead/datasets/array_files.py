"""The array files of a store, written block by block and digested on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array
from erasurehead.datasets.blocks import RowBlocks
from erasurehead.datasets.manifest import (
    ARRAYS,
    COLUMN_SQUARES,
    COLUMNS_OF_INT32,
    MOST_COLUMNS,
    PREFIXES,
    ArrayEntry,
)
from erasurehead.process.ahead import ahead, aside
from erasurehead.rows import ColumnSquares, CsrRows


class ArrayFile:
    """A ``.npy`` file of a known shape that is written from its first to its last entry.

    Use it in a ``with`` statement; `finish` says that all is there.
    """

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self._dtype, self._shape = np.dtype(dtype), shape
        self._left = int(np.prod(shape, dtype=np.int64))
        self._digest = hashlib.sha256()
        self._file = path.open("w+b")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._file.seek(0)
        self._digest.update(self._file.read())

    def append(self, array: Array) -> None:
        """Write further entries, in the file's dtype whatever theirs."""
        content = np.ascontiguousarray(array, dtype=self._dtype)
        self._left -= content.size
        whole = content.view(np.uint8).data
        self._digest.update(whole)
        self._file.write(whole)

    def finish(self) -> ArrayEntry:
        """Return what a manifest says of the file; the disk may not have all of it yet.

        Raises
        ------
        ValueError: the entries are not as many as the shape says.
        """
        if self._left:
            raise ValueError(f"an array of shape {self._shape} lacks {self._left} entries")
        self._file.flush()
        return ArrayEntry(
            dtype=self._dtype.str,
            shape=self._shape,
            file_bytes=self._file.tell(),
            sha256=self._digest.hexdigest(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def write_parts(folder: Path, train: RowBlocks, test: RowBlocks) -> Mapping[str, ArrayEntry]:
    """Write the arrays of training and test rows, and what follows from the training rows.

    Returns
    -------
    What a manifest says of them, by name.

    Raises
    ------
    OSError: the disk does not take them.
    ValueError: blocks have other rows than was said.
    """
    entries: dict[str, ArrayEntry] = {}
    squares = None
    if train.n_columns <= max(MOST_COLUMNS, train.nnz):
        squares = ColumnSquares(train.n_columns)
    # The disk takes the training rows while the test rows are made.
    with aside() as let:
        for prefix, part in zip(PREFIXES, (train, test), strict=True):
            written = _write_part(folder, prefix, part, None if prefix else squares)
            for name in written:
                let(partial(_bring_to_disk, folder / f"{name}.npy"))
            entries |= written
        if squares is not None:
            path = folder / f"{COLUMN_SQUARES}.npy"
            with ArrayFile(path, "<f8", (train.n_columns,)) as file:
                file.append(squares.total)
                entries[COLUMN_SQUARES] = file.finish()
            let(partial(_bring_to_disk, path))
    return entries


def _bring_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _write_part(
    folder: Path, prefix: str, part: RowBlocks, squares: ColumnSquares | None
) -> dict[str, ArrayEntry]:
    lengths = dict.fromkeys(ARRAYS, part.n_rows)
    lengths |= {"indptr": part.n_rows + 1, "indices": part.nnz, "values": part.nnz}
    dtypes = dict.fromkeys(ARRAYS, "<f8")
    dtypes |= {"indptr": "<i8", "indices": "<i4" if part.n_columns < COLUMNS_OF_INT32 else "<i8"}
    there = [name for name in ARRAYS if name in part.arrays or name in _ALWAYS]
    with ExitStack() as opened:
        files = {
            name: opened.enter_context(
                ArrayFile(folder / f"{prefix}{name}.npy", dtypes[name], (lengths[name],))
            )
            for name in there
        }
        files["indptr"].append(np.zeros(1, dtype=np.int64))
        written = 0
        # Squares are summed by the thread that makes the blocks: digests take this one's time.
        for block in ahead(_summed(part.blocks(), squares)):
            for name in there:
                files[name].append(_array_of(block, name, written))
            written += int(block.indptr[-1])
        return {prefix + name: file.finish() for name, file in files.items()}


def _summed(blocks: Iterable[CsrRows], squares: ColumnSquares | None) -> Iterator[CsrRows]:
    """Yield the same, each after its entries' squares were added."""
    for block in blocks:
        if squares is not None:
            squares.add(block.indices, block.values)
        yield block


_ALWAYS = ("indptr", "indices", "labels")


def _array_of(block: CsrRows, name: str, written: int) -> npt.NDArray[Any]:
    """Return an array of a block, as it goes on where `written` entries are before it."""
    if name == "indptr":
        return np.asarray(block.indptr[1:], dtype=np.int64) + written
    return np.asarray(getattr(block, name))
