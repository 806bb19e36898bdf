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
GZIP = b"\x1f\x8b"
_SVMLIGHT = re.compile(rb"[-+.\deE]+(\s+(qid:\d+|\d+:[-+.\deEnaifNAIF]+))*\s*(#.*)?")


def content_of(path: Path) -> Content:
    """Return what a file is; what is inside, if it is compressed by gzip.

    Raises
    ------
    DataError: it cannot be read, or only once.
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
    for magic, content in MAGIC.items():
        if begin.startswith(magic):
            return content
    lines = [line for line in begin.splitlines()[:-1] or [begin] if line.strip()]
    told = [line for line in lines if not line.lstrip().startswith(b"#")]
    return "svmlight" if told and all(map(_SVMLIGHT.fullmatch, map(bytes.strip, told))) else "text"
