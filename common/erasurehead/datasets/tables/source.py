"""From what a user names to a table: files and folders, told apart by what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from erasurehead.datasets.content import content_of
from erasurehead.datasets.encodings.table import TextForm
from erasurehead.datasets.sources import plain_sha256
from erasurehead.datasets.tables.parquet import ParquetTable
from erasurehead.datasets.tables.pieces import Table
from erasurehead.datasets.tables.text import TextTable
from erasurehead.errors import DataError

FOLDER_KINDS = ("*.parquet", "*.csv", "*.csv.gz")


def open_table(paths: Sequence[Path], form: TextForm) -> Table:
    """Open files, or folders of files, as one table.

    Parameters
    ----------
    paths: at least one.
    form: how text files are written (`TextTable`).

    Raises
    ------
    DataError: a file cannot be read, they are of several kinds, or a folder holds none.
    """
    files = files_of(paths)
    kinds = {file: is_parquet(file) for file in files}
    if len(set(kinds.values())) > 1:
        parquet, text = (next(f for f, kind in kinds.items() if kind is k) for k in (True, False))
        raise DataError(
            f"{parquet} is a Parquet file and {text} a text file; give files of one kind"
        )
    if not kinds[files[0]]:
        return TextTable(files, form)
    root = paths[0] if len(paths) == 1 and paths[0].is_dir() else _above(files)
    return ParquetTable(paths[0] if len(paths) == 1 else root, files, root)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return files as they are, and the files of folders in the order of their names.

    Raises
    ------
    DataError: a folder holds no file of a table.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = next((kind for p in FOLDER_KINDS if (kind := sorted(path.rglob(p)))), [])
        inside = [f for f in inside if not f.name.startswith((".", "_"))]
        if not inside:
            raise DataError(
                f"folder {path} holds no file of a table ({', '.join(FOLDER_KINDS)}); name a folder"
                " or files that do"
            )
        found += inside
    return found


def is_parquet(path: Path) -> bool:
    """Tell whether a file is a Parquet file, by what it holds.

    Raises
    ------
    DataError: it cannot be read, or has the name of one and is none.
    """
    content = content_of(path)
    if content == "parquet":
        return True
    if content in ("array", "arrays"):
        kind = "an array of numpy" if content == "array" else "a ZIP archive"
        raise DataError(
            f"{path} cannot be read as a table: it is {kind}; give text or Parquet (a spreadsheet:"
            " save the sheet as CSV; a zipped file: unpack it)"
        )
    if ".parquet" in path.suffixes:
        raise DataError(
            f"{path} cannot be read as a table: it is called a Parquet file and is none; name it"
            " .csv if it is text"
        )
    return False


def table_sha256(paths: Sequence[Path]) -> str:
    """Return the digest of a file's plain bytes; of several, of their digests in order."""
    files = files_of(paths)
    digests = [plain_sha256(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _above(files: Sequence[Path]) -> Path:
    """Return the folder that all files are in."""
    parents = files[0].parents
    return next(p for p in parents if all(p in f.parents for f in files))
