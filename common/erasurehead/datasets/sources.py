"""Files that data are prepared from: read once, known by the SHA-256 of their plain bytes."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from erasurehead.errors import DataError, UsageError, reason_of

LINE_END = b"\n"
GZIP = b"\x1f\x8b"
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Pinned:
    """The one file a preset is made from."""

    name: str
    sha256: str
    n_bytes: int
    n_lines: int
    n_columns: int
    where: str
    """Where a person gets it."""


def read_plain(path: Path, pinned: Pinned | None = None) -> bytes:
    """Return a file's bytes, uncompressed if they are gzip; `pinned` is what it should be.

    Raises
    ------
    DataError: the file cannot be read, or is a truncated or damaged gzip file.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {reason_of(error)}; give the path of a file that can be read"
        ) from None
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error):
        expected = (
            f"expected {pinned.name}, which unpacks to {pinned.n_bytes} bytes, " if pinned else ""
        )
        raise DataError(
            f"{path} is damaged: {expected}found a gzip file that is cut off or broken, of"
            f" {len(raw)} bytes; get it again"
        ) from None


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be read in pieces, which are uncompressed if it is gzip.

    Raises
    ------
    DataError: the file cannot be read, or is a truncated or damaged gzip file.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(
            f"{path} is damaged: it is a gzip file that is cut off or broken; get it again"
        ) from None
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {reason_of(error)}; give the path of a file that can be read"
        ) from None


def plain_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, uncompressed if they are gzip."""
    digest = hashlib.sha256()
    with open_plain(path) as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def read_pinned(path: Path, pinned: Pinned) -> bytes:
    """Return the bytes of the file a preset is pinned to.

    Raises
    ------
    DataError: it is another file; the sentence names what was expected and what was found.
    """
    plain = read_plain(path, pinned)
    found = hashlib.sha256(plain).hexdigest()
    if found != pinned.sha256:
        n_columns = plain[: plain.find(LINE_END)].count(b",") + 1
        raise DataError(
            f"{path} is not {pinned.name}: expected {pinned.n_bytes} bytes, {pinned.n_lines} lines"
            f" of {pinned.n_columns} columns with SHA-256 {pinned.sha256}, found"
            f" {len(plain)} bytes, {plain.count(LINE_END)} lines of {n_columns} columns with"
            f" {found}; get it from {pinned.where}"
        )
    return plain


def needed(source: Path | None, pinned: Pinned, name: str) -> Path:
    """Return the source, or say which file is needed.

    Raises
    ------
    UsageError: there is no source.
    """
    if source is None:
        raise UsageError(
            f"prepare {name} needs the file {pinned.name} ({pinned.where}): give it with --from,"
            " or let it be fetched with --download"
        )
    return source


def pandas() -> ModuleType:
    """Import pandas, or say how to get it.

    Raises
    ------
    UsageError: it is not installed.
    """
    try:
        import pandas as module
    except ImportError:
        raise UsageError("preparing tables needs pandas: pip install 'erasurehead[data]'") from None
    return module


def pyarrow(part: str = "") -> Any:
    """Import pyarrow, or a part of it, or say how to get it.

    Raises
    ------
    UsageError: it is not installed.
    """
    try:
        return importlib.import_module(f"pyarrow.{part}" if part else "pyarrow")
    except ImportError:
        raise UsageError(
            "preparing tables needs pyarrow: pip install 'erasurehead[data]'"
        ) from None


def sklearn_datasets() -> Any:
    """Import scikit-learn's data sets, or say how to get them.

    Raises
    ------
    UsageError: it is not installed.
    """
    try:
        import sklearn.datasets as module
    except ImportError:
        raise UsageError(
            "downloading and svmlight files need scikit-learn: pip install 'erasurehead[data]'"
        ) from None
    return module
