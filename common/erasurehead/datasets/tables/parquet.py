"""Tables in Parquet files, read in pieces; values have the types of the files."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from erasurehead.datasets.encodings.table import TextForm
from erasurehead.datasets.sources import GZIP, READ_BYTES, pyarrow, read_plain
from erasurehead.datasets.tables.pieces import Piece
from erasurehead.errors import DataError, reason_of

PIECE_ROWS = 1 << 16


class ParquetTable:
    """A table in one or several Parquet files; what folders such as ``year=2024`` say is a column.

    Parameters
    ----------
    path: what messages call it.
    files: at least one.
    root: the folder above which folders say nothing.

    Raises
    ------
    DataError: the first file is no Parquet file.
    """

    form: TextForm | None = None

    def __init__(self, path: Path, files: Sequence[Path], root: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self._files = files
        self._root = root
        own = [str(name) for name in _opened(files[0]).schema_arrow.names]
        self.names = own + [name for name in self._folders(files[0]) if name not in own]

    def pieces(self, wanted: Sequence[str], numbers: Container[str] = ()) -> Iterator[Piece]:
        """Yield the rows; see `Table`."""
        pa = pyarrow()
        for path in self._files:
            told = self._folders(path)
            file = _opened(path)
            names = [str(name) for name in file.schema_arrow.names]
            for name in wanted:
                if name not in names and name not in told:
                    raise DataError(f"{path} has no column '{name}', as {self._files[0]} has")
            own = [name for name in wanted if name in names]
            row = 1
            try:
                for batch in file.iter_batches(PIECE_ROWS, columns=own, use_threads=False):
                    n_rows = batch.num_rows
                    columns = {
                        name: batch.column(batch.schema.get_field_index(name)) for name in own
                    }
                    columns |= {
                        name: pa.repeat(told[name], n_rows) for name in wanted if name not in own
                    }
                    yield Piece(path, np.arange(row, row + n_rows, dtype=np.int64), columns)
                    row += n_rows
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path} cannot be read as a table: {reason_of(error)}") from None

    def _folders(self, path: Path) -> dict[str, str]:
        """Return what the folders of a file say."""
        parts = path.relative_to(self._root).parts[:-1]
        pairs = (part.partition("=") for part in parts)
        return {name: unquote(value) for name, equals, value in pairs if equals}


def _opened(path: Path) -> Any:
    pa = pyarrow()
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    try:
        source = pa.BufferReader(read_plain(path)) if packed else path
        # Otherwise the whole row group, which may be the whole file, would be read at once.
        return pyarrow("parquet").ParquetFile(source, buffer_size=READ_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as a table: {reason_of(error)}") from None
