"""Whole rows of a text file, parsed into columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from erasurehead.datasets.encodings.table import TextForm
from erasurehead.datasets.sources import pyarrow
from erasurehead.datasets.tables.structure import repaired, sample_rows
from erasurehead.errors import DataError

SAMPLE_BYTES = 1 << 16


class BlockParser:
    """Parses blocks of whole rows of one file.

    Parameters
    ----------
    names: of the header's fields; several may be empty.
    wanted: the columns to return; each is the name of one field.
    """

    def __init__(
        self, path: Path, names: Sequence[str], form: TextForm, wanted: Sequence[str]
    ) -> None:
        self.path, self.wanted = path, wanted
        self._names, self._form = names, form
        self._beyond = 0

    def learn(self, block: bytes) -> None:
        """See how many fields beyond the header every row has, as far as the first block tells.

        They must be empty; a comma at the end of each line makes one.
        """
        text = block[:SAMPLE_BYTES].decode("utf-8", errors="replace")
        rows = sample_rows(text, self._form.separator)
        self._beyond = max(0, len(rows[0]) - len(self._names)) if rows else 0

    def columns(self, line: int, block: bytes, numbers: Collection[str]) -> Mapping[str, Any]:
        """Return the wanted columns of rows as Arrow arrays: texts, or numbers where all are.

        Parameters
        ----------
        line: the number of the block's first line.
        numbers: columns that are to be numbers if they can; a missing value is a null then.

        Raises
        ------
        DataError: a row has more or fewer fields than the header, or bytes are no text.
        """
        table = self._parsed(block, self._beyond, numbers) if numbers else None
        if table is None:
            table = self._parsed(block, self._beyond, ())
        if table is None:
            text = self._decoded(block, line)
            whole = repaired(text, self._form.separator, len(self._names), line, self.path)
            table = self._parsed(whole, 0, ())
        if table is None:
            last = line + block.count(b"\n")
            raise DataError(
                f"{self.path} cannot be read as a table: quotation marks between line {line} and"
                f" {last} do not match"
            )
        return {name: table[name].combine_chunks() for name in self.wanted}

    def _parsed(self, block: bytes, beyond: int, numbers: Collection[str]) -> Any:
        """Return an Arrow table; None if some row has other fields than it should.

        Column names are replaced by their places, because several may have no name.
        """
        pa, csv, compute = pyarrow(), pyarrow("csv"), pyarrow("compute")
        n_names = len(self._names)
        places = [str(i) for i in range(n_names + beyond)]
        read = [str(self._names.index(name)) for name in self.wanted] + places[n_names:]
        types = dict.fromkeys(read, pa.string())
        types |= {str(self._names.index(name)): pa.float64() for name in numbers}
        try:
            table = csv.read_csv(
                pa.py_buffer(block),
                read_options=csv.ReadOptions(
                    column_names=places, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=csv.ParseOptions(delimiter=self._form.separator),
                convert_options=csv.ConvertOptions(
                    include_columns=read,
                    column_types=types,
                    null_values=list(self._form.missing),
                    decimal_point=self._form.decimal,
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        extra = [table[place] for place in places[n_names:]]
        if any(compute.any(compute.not_equal(c, "")).as_py() for c in extra):
            return None
        return table.select(read[: len(self.wanted)]).rename_columns(list(self.wanted))

    def _decoded(self, block: bytes, line: int) -> str:
        try:
            return block.decode("utf-8")
        except UnicodeDecodeError as error:
            at = line + block.count(b"\n", 0, error.start)
            raise DataError(
                f"{self.path} cannot be read as a table: line {at} holds bytes that are no UTF-8;"
                " convert the file, for example with iconv -f latin1 -t utf-8"
            ) from None
