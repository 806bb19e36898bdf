"""Any CSV or Parquet table with a target column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from erasurehead.datasets.encoding import EncodedBlocks
from erasurehead.datasets.encodings.table import TableEncoding, TextForm
from erasurehead.datasets.labels import KindOrAuto
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.tables.encoded import encode_table
from erasurehead.datasets.tables.pieces import Table
from erasurehead.datasets.tables.scan import read_whole
from erasurehead.datasets.tables.source import open_table, table_sha256
from erasurehead.datasets.tables.text import checked_form
from erasurehead.datasets.tables.wanted import Wanted
from erasurehead.errors import UsageError
from erasurehead.registry import nearest
from erasurehead.words import listed


class TablePreset(Preset):
    """Categorical columns one-hot, numeric columns standardised, and a constant.

    --from names text or Parquet files, or folders of them, that hold one table. Without lists,
    columns of text are categorical and columns of numbers numeric. Lists are separated by `+`.
    labels=auto makes two classes of a target with two distinct values, of which the larger (in
    sorted order) becomes +1, classes of a target of text or of few whole numbers, and takes other
    targets as numbers. weight= names the column that says what a row counts for, offset= the one
    that is added to the model's output. separator= and decimal= say how a text file is written,
    missing= which texts mean a missing value (a list; the empty text always does), and
    incomplete=leave-out leaves rows with such a value out.
    """

    name = "csv"
    encoding = "table-3"
    older: ClassVar = frozenset({"table-2"})

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        target: str,
        categorical: str = "",
        numeric: str = "",
        labels: KindOrAuto = "auto",
        weight: str = "",
        offset: str = "",
        separator: str = "auto",
        decimal: str = "auto",
        missing: str = "usual",
        incomplete: Literal["refuse", "leave-out"] = "refuse",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare csv needs a table: give a CSV or Parquet file with --from")
        self._paths = [source]
        self._form = checked_form(separator, decimal, missing)
        self._missing_named = missing != "usual"
        self._given = {"separator": separator, "decimal": decimal, "missing": missing}
        self._wanted = Wanted(
            target=target,
            kind=labels,
            categorical=[c for c in categorical.split("+") if c],
            numeric=[c for c in numeric.split("+") if c],
            weight=weight,
            offset=offset,
            marks=self._form.missing,
            leave_out=incomplete == "leave-out",
        )

    def add_sources(self, paths: Sequence[Path]) -> None:
        """Take further files, which hold further rows of the table."""
        self._paths += paths

    def options(self) -> dict[str, str]:
        """Return the columns, what labels are, and how files are written."""
        wanted = self._wanted
        return {
            "target": wanted.target,
            "categorical": "+".join(wanted.categorical),
            "numeric": "+".join(wanted.numeric),
            "labels": wanted.kind,
            "weight": wanted.weight,
            "offset": wanted.offset,
            **self._given,
            "incomplete": "leave-out" if wanted.leave_out else "refuse",
        }

    def source_sha256(self) -> str:
        """Return the digest of the files."""
        return table_sha256(self._paths)

    def encode(self) -> EncodedBlocks:
        """Return the rows, which are encoded when they are asked for."""
        table = open_table(self._paths, self._form)
        self.assumed += table.said
        self._check_columns(table)
        wanted = self._wanted
        if table.form is None and not self._missing_named:
            wanted = replace(wanted, marks=())  # a Parquet file says itself what is missing
        read = read_whole(table, wanted, self.scratch, self.assumed, self.progress)
        rows = encode_table(read)
        encoding = TableEncoding(
            wanted.target,
            read.labels.type,
            read.labels.target,
            read.labels.classes,
            rows.categorical,
            rows.numeric,
            wanted.weight or None,
            wanted.offset or None,
            table.form or TextForm(missing=self._form.missing),
        )
        return EncodedBlocks(
            read.labels.target, rows.train, rows.test, read.labels.classes, encoding
        )

    def _check_columns(self, table: Table) -> None:
        wanted, known = self._wanted, list(table.names)
        per_row = [c for c in (wanted.weight, wanted.offset) if c]
        for column in (wanted.target, *wanted.categorical, *wanted.numeric, *per_row):
            if column not in known:
                raise UsageError(
                    f"{table.path} has no column '{column}'{nearest(column, known)};"
                    f" its columns: {listed(known)}"
                )
        for column in (*wanted.categorical, *wanted.numeric, *per_row):
            if column == wanted.target:
                raise UsageError(
                    f"column '{column}' is the target and cannot be a feature, weight or offset as"
                    " well"
                )
        roles: dict[str, str] = {}
        for role, columns in (
            ("categorical", wanted.categorical),
            ("numeric", wanted.numeric),
            ("weight", [wanted.weight] if wanted.weight else []),
            ("offset", [wanted.offset] if wanted.offset else []),
        ):
            for column in columns:
                if column in roles:
                    raise UsageError(
                        f"column '{column}' is named both {roles[column]} and {role}; name it once"
                    )
                roles[column] = role
        for column in wanted.used(known):
            if known.count(column) > 1:
                raise UsageError(
                    f"{table.path} has {known.count(column)} columns named '{column}'; give each"
                    " column that is used a name of its own"
                )
