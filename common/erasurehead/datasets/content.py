"""What a file is, by how it begins and not by its name."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Literal

from erasurehead.errors import DataError, reason_of

Content = Literal["array", "arrays", "parquet", "svmlight", "text"]
"""A ``.npy`` file, a ``.npz`` file, a Parquet file, lines of svmlight, or other text."""

MAGIC: dict[bytes, Content] = {b"\x93NUMPY": "array", b"PK\x03\x04": "arrays", b"PAR1": "parquet"}
FOREIGN = {
    b"BZh": ("compressed by bzip2", "unpack it"),
    b"\xfd7zXZ\x00": ("compressed by xz", "unpack it"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it"),
    b"\xd0\xcf\x11\xe0": ("an Office file", "save the sheet as CSV"),
    b"SQLite format 3\x00": ("an SQLite database", "export the table as CSV"),
    b"ORC": ("an ORC file", "convert it to Parquet"),
    b"Obj\x01": ("an Avro file", "convert it to Parquet"),
    b"ARROW1": ("an Arrow or Feather file", "convert it to Parquet"),
    b"\x89HDF": ("an HDF5 file", "convert it to CSV or Parquet"),
    b"%PDF-": ("a PDF", "give the table as CSV"),
}
"""What else people have, by how it begins: what it is, and what to do."""

GZIP = b"\x1f\x8b"
_SVMLIGHT = re.compile(rb"[-+.\deE]+(\s+(qid:\d+|\d+:[-+.\deEnaifNAIF]+))*\s*(#.*)?")


def content_of(path: Path) -> Content:
    """Return what a file is; what is inside, if it is compressed by gzip.

    Raises
    ------
    DataError: it cannot be read, only once, or is of a kind that nothing here reads.
    """
    if path.exists() and not path.is_file():
        raise DataError(
            f"{path} is no file that can be read more than once; write the rows to a file first,"
            " and give its path"
        )
    try:
        with path.open("rb") as file:
            begin = file.read(1 << 16)
        if begin.startswith(GZIP):
            with gzip.open(path) as file:
                begin = file.read(1 << 16)
    except (OSError, EOFError) as error:
        raise DataError(
            f"cannot read {path}: {reason_of(error)}; give the path of a file that can be read"
        ) from None
    for magic, (kind, advice) in FOREIGN.items():
        if begin.startswith(magic):
            raise DataError(
                f"{path} is {kind}, and what is read is text (CSV, svmlight; also compressed by"
                f" gzip), Parquet, .npy and .npz; {advice}"
            )
    for magic, content in MAGIC.items():
        if begin.startswith(magic):
            return content
    lines = [line for line in begin.splitlines()[:-1] or [begin] if line.strip()]
    told = [line for line in lines if not line.lstrip().startswith(b"#")]
    return "svmlight" if told and all(map(_SVMLIGHT.fullmatch, map(bytes.strip, told))) else "text"
