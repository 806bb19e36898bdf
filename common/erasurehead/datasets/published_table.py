"""A published table with a header line: read from its file, or fetched from OpenML."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from erasurehead.datasets.preset import Preset, expect_table, fetch_openml, frame_sha256
from erasurehead.datasets.sources import Pinned, needed, pandas, read_pinned


class PublishedTable(Preset):
    """A data set of known bytes; subclasses encode its columns.

    Attributes
    ----------
    file: the file that --from must name, by its digest.
    columns: the columns that are encoded.
    target: the column that is learnt.
    openml: what OpenML is asked for.
    openml_names: from its names of columns to the file's, where they differ.
    """

    downloads = True
    file: ClassVar[Pinned]
    columns: ClassVar[tuple[str, ...]]
    target: ClassVar[str]
    openml: ClassVar[Mapping[str, Any]]
    openml_names: ClassVar[Mapping[str, str]] = {}

    def source_sha256(self) -> str:
        """Return the pinned file's digest, or the downloaded table's."""
        if self.download:
            return frame_sha256(self.frame)
        read_pinned(needed(self.source, self.file, self.name), self.file)
        return self.file.sha256

    @cached_property
    def frame(self) -> Any:
        """The whole table.

        Raises
        ------
        DataError: it is not the published one, or cannot be had.
        """
        frame = (
            fetch_openml(**self.openml).rename(columns=self.openml_names)
            if self.download
            else self._read()
        )
        n_rows = self.file.n_lines - 1  # the first line is the header
        expect_table(frame, self.name, n_rows, (*self.columns, self.target))
        return frame

    def _read(self) -> Any:
        plain = read_pinned(needed(self.source, self.file, self.name), self.file)
        return pandas().read_csv(io.BytesIO(plain))
