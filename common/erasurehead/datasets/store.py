"""The store: prepared rows on disk, mapped by the processes that need them.

A directory with ``manifest.json`` and one ``.npy`` file an array: ``indptr``, ``indices``,
``values`` (absent when all are one), ``labels``, and ``weights`` and ``offsets`` if there are any,
of the training rows, the same with the prefix ``test_``, and ``column_squares``, which follows from
the training rows. ``encoding.json`` says what preparing decided. Rows are in random order, so any
row range is a fair sample; a task is a row range, so the number of tasks is chosen when a run
starts. Workers import this module: beside the standard library, numpy is all it needs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.array_files import write_parts
from erasurehead.datasets.blocks import RowBlocks, blocks_of
from erasurehead.datasets.encodings import Encoding, encoding_text, parse_encoding
from erasurehead.datasets.files import check_sizes, file_sha256
from erasurehead.datasets.manifest import (
    ARRAYS,
    COLUMN_SQUARES,
    ENCODING,
    FORMAT_VERSION,
    MANIFEST,
    PREFIXES,
    FileEntry,
    Manifest,
    Provenance,
    content_digest,
    read_manifest,
)
from erasurehead.datasets.older import OLD_COLUMNS, table_encoding
from erasurehead.datasets.row_checks import wrong_array
from erasurehead.errors import DataError, UsageError, reason_of
from erasurehead.process.durable import sync_directory
from erasurehead.rows import CsrRows, Target

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class StoreExistsError(UsageError):
    """Something has the name of the store that was to be written."""


@dataclass(frozen=True, eq=False)
class Store:
    """An opened store; its arrays are mapped read-only.

    Attributes
    ----------
    path: the directory.
    manifest: what it holds.
    train, test: the rows.
    column_squares: of the training rows (`CsrRows.column_squares`), shape (columns,); None: they
        must be computed.
    """

    path: Path
    manifest: Manifest
    train: CsrRows
    test: CsrRows
    column_squares: FloatArray | None = None

    @cached_property
    def encoding(self) -> Encoding | None:
        """How other rows of the source's kind are encoded alike; None: nothing says it.

        Raises
        ------
        DataError: the file that says it is missing or damaged.
        """
        entry = self.manifest.encoding
        if entry is None:
            return self._older_encoding()
        file = self.path / ENCODING
        try:
            text = file.read_bytes()
        except OSError as error:
            raise DataError(
                f"{file} of the store cannot be read ({reason_of(error)}); prepare the store again"
            ) from None
        if hashlib.sha256(text).hexdigest() != entry.sha256:
            raise DataError(
                f"{file} is damaged: its SHA-256 is not the manifest's; prepare the store again"
            )
        return parse_encoding(text, file)

    def _older_encoding(self) -> Encoding | None:
        file = self.path / OLD_COLUMNS
        try:
            return table_encoding(file.read_bytes(), self.manifest.target)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(
                f"{file} is damaged ({error}); remove the store and prepare it again"
            ) from None

    @property
    def digest(self) -> str:
        """Equal for stores of equal content."""
        return self.manifest.digest

    def matrix(self, split: Literal["train", "test"] = "train") -> csr_array:
        """Return the training or the test rows as a scipy matrix, shape (rows, columns).

        Its entries and their columns are the store's own mapped arrays, read-only and not copied;
        the pointers to its rows are, in the columns' type (`CsrRows.matrix`), and so are entries
        that are all one, which a store leaves out. To change it, take a ``copy()``.

        Raises
        ------
        UsageError: there are no rows of that name.
        """
        if split not in ("train", "test"):
            raise UsageError(f"a store has no rows called {split!r}; name 'train' or 'test'")
        return (self.train if split == "train" else self.test).matrix()

    @classmethod
    def open(cls, location: str | Path, cache: Path | None = None) -> Store:
        """Map a store; one with ``://`` in its location is first copied to `cache` by fsspec.

        Raises
        ------
        DataError: no store there, of another format version, or with files that are missing,
            truncated or not what the manifest says.
        """
        if "://" in str(location):
            from erasurehead.datasets.remote import fetch_store

            path = fetch_store(str(location), cache)
        else:
            path = Path(location).resolve()
        manifest = read_manifest(path)
        check_sizes(path, manifest)
        train, test = (_map_rows(path, manifest, prefix) for prefix in PREFIXES)
        return cls(path, manifest, train, test, _map(path, manifest, COLUMN_SQUARES))

    def check_rows(self) -> None:
        """Look through all rows for what no row can be; quicker than `verify`.

        Raises
        ------
        DataError: rows that end before they begin, a column that there is not, or an entry that is
            no finite number.
        """
        for prefix, rows in zip(PREFIXES, (self.train, self.test), strict=True):
            wrong = wrong_array(rows)
            if wrong is not None:
                name, reason = wrong
                raise DataError(
                    f"{self.path / prefix}{name}.npy is damaged: {reason}; prepare the store again"
                )
        squares = self.column_squares
        if squares is not None and not (
            squares.min(initial=0.0) >= 0 and np.isfinite(squares).all()
        ):
            raise self._wrong_squares("some are no sums of squares")

    def verify(self) -> None:
        """Read every byte and compare with the manifest's digests, which its own digest covers.

        What follows from the rows is compared with them.

        Raises
        ------
        DataError: an array is not what was written.
        """
        for name, entry in self.manifest.arrays.items():
            found = file_sha256(self.path / f"{name}.npy")
            if found != entry.sha256:
                raise DataError(
                    f"{self.path / name}.npy is damaged: its SHA-256 is {found:.16}..., the"
                    f" manifest says {entry.sha256:.16}...; prepare the store again"
                )
        squares = self.column_squares
        if squares is not None and not np.allclose(squares, self.train.column_squares(), 1e-9):
            raise self._wrong_squares("they are not those of its rows")

    def _wrong_squares(self, reason: str) -> DataError:
        return DataError(
            f"{self.path / COLUMN_SQUARES}.npy is damaged: {reason}; prepare the store again"
        )


def write_store(
    path: Path,
    name: str,
    target: Target,
    train: CsrRows | RowBlocks,
    test: CsrRows | RowBlocks,
    provenance: Provenance,
    classes: tuple[str, ...] = (),
    encoding: Encoding | None = None,
) -> Store:
    """Write a store under `path`, which must not exist, as a whole or not at all.

    `target` is what labels are, `classes` what they are called if they are classes; `encoding` says
    how other rows are encoded alike.

    Raises
    ------
    DataError: the disk does not take it; nothing is left behind.
    StoreExistsError: `path` exists, perhaps only since another process was faster.
    ValueError: only one of the two parts has values, weights or offsets.
    """
    first, second = (b if isinstance(b, RowBlocks) else blocks_of(b) for b in (train, test))
    if first.arrays != second.arrays:
        differing = min(first.arrays ^ second.arrays)
        raise ValueError(f"training and test rows must both have {differing}, or neither")
    in_the_way = f"{path} exists already; name another directory with --out or remove it"
    if path.exists():
        raise StoreExistsError(in_the_way)
    partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")
    try:
        partial.mkdir(parents=True)
        entries = write_parts(partial, first, second)
        text = None if encoding is None else encoding_text(encoding).encode()
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            name=name,
            target=target,
            classes=classes,
            rows=first.n_rows,
            columns=first.n_columns,
            nnz=first.nnz,
            test_rows=second.n_rows,
            test_nnz=second.nnz,
            values_are_ones="values" not in first.arrays,
            arrays=entries,
            digest=content_digest(target, first.n_columns, entries),
            encoding=None if text is None else _entry_of(text),
            provenance=provenance,
        )
        if text is not None:
            _write_bytes(partial / ENCODING, text)
        _write_bytes(partial / MANIFEST, manifest.to_json().encode())
        # Before the rename, or a power cut could leave the name without the files.
        sync_directory(partial)
        partial.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise StoreExistsError(in_the_way) from None
        raise DataError(
            f"cannot write the store {path}: {reason_of(error)}; free space or choose another --out"
        ) from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Store.open(path)


def _entry_of(content: bytes) -> FileEntry:
    return FileEntry(len(content), hashlib.sha256(content).hexdigest())


def _write_bytes(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _map(path: Path, manifest: Manifest, name: str) -> Array | None:
    """Map an array; None if the store does not have it."""
    entry = manifest.arrays.get(name)
    if entry is None:
        return None
    file = path / f"{name}.npy"
    try:
        # An empty file cannot be mapped.
        array: Array = np.load(file, mmap_mode="r" if entry.shape[0] else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = reason_of(error)
        raise DataError(f"{file} is damaged ({reason}); prepare the store again") from None
    if array.dtype.str != entry.dtype or array.shape != entry.shape:
        raise DataError(
            f"{file} holds {array.dtype.str} {array.shape}, the manifest says {entry.dtype}"
            f" {entry.shape}; prepare the store again"
        )
    return array


def _map_rows(path: Path, manifest: Manifest, prefix: str) -> CsrRows:
    mapped = {name: _map(path, manifest, prefix + name) for name in ARRAYS}
    rows = CsrRows(**mapped, n_columns=manifest.columns)  # type: ignore[arg-type]
    if rows.indptr[0] != 0 or rows.indptr[-1] != len(rows.indices):
        raise DataError(
            f"{path / prefix}indptr.npy counts {rows.indptr[-1]} entries, the store has"
            f" {len(rows.indices)}; prepare the store again"
        )
    return rows
