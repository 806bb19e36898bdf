"""Forest Covertype, two classes as in arXiv 1901.09671, section 5, or all seven."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import Encoded, codes_of, one_hot_rows
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import (
    Pinned,
    needed,
    pandas,
    read_pinned,
    sklearn_datasets,
)
from erasurehead.errors import DataError, reason_of

FILE = Pinned(
    "covtype.data of UCI's Covertype",
    "0a9371cef7c964b5475d6053cc3e0894a5aa6f65ad1ed3ecb01c45aa96217945",
    75_169_317,
    581_012,
    55,
    "the UCI Machine Learning Repository, data set 31",
)
SHAPE = (581_012, 55)

Table = npt.NDArray[np.int32]


NAMES = (
    "spruce/fir",
    "lodgepole pine",
    "ponderosa pine",
    "cottonwood/willow",
    "aspen",
    "douglas-fir",
    "krummholz",
)
"""Of cover types 1 to 7."""


class Covertype(Preset):
    """Rows of cover type 1 or 2, each of the 54 columns one-hot, and a constant.

    15,509 columns, 55 ones a row. Two classes; label -1 for type 1 and +1 for type 2. With
    classes=7, rows of all types, labels 0 to 6.
    """

    name = "covertype"
    encoding = "covertype-1"
    downloads = True

    def __init__(
        self, source: Path | None, download: bool, *, classes: Literal["2", "7"] = "2"
    ) -> None:
        super().__init__(source, download)
        self._all = classes == "7"

    def options(self) -> dict[str, str]:
        """Return the number of classes, unless it is the paper's."""
        return {"classes": "7"} if self._all else {}

    def source_sha256(self) -> str:
        """Return the pinned file's digest, or the downloaded table's."""
        if self.download:
            return hashlib.sha256(self._table.tobytes()).hexdigest()
        read_pinned(needed(self.source, FILE, self.name), FILE)
        return FILE.sha256

    def encode(self) -> Encoded:
        """Return the rows.

        Raises
        ------
        DataError: the table is not the published one.
        """
        table = self._table
        if table.shape != SHAPE:
            raise DataError(
                f"the table for {self.name} has {table.shape[0]} rows and {table.shape[1]} columns,"
                f" expected {SHAPE[0]} and {SHAPE[1]}; it is not the published data set"
            )
        if not self._all:
            table = table[table[:, -1] <= 2]
        columns = [codes_of(table[:, i]) for i in range(table.shape[1] - 1)]
        if self._all:
            labels = table[:, -1].astype(np.float64) - 1.0
            return replace(one_hot_rows(columns, [], labels, "classes"), classes=NAMES)
        labels = np.where(table[:, -1] == 1, -1.0, 1.0)
        return one_hot_rows(columns, [], labels, "two classes")

    @cached_property
    def _table(self) -> Table:
        return self._fetch() if self.download else self._read()

    def _read(self) -> Table:
        plain = read_pinned(needed(self.source, FILE, self.name), FILE)
        frame = pandas().read_csv(io.BytesIO(plain), header=None, dtype=np.int32)
        table: Table = frame.to_numpy()
        return table

    def _fetch(self) -> Table:
        module = sklearn_datasets()
        try:
            bunch = module.fetch_covtype()
        except Exception as error:  # network and checksum errors have no common base
            raise DataError(
                f"downloading Covertype failed ({type(error).__name__}: {reason_of(error)}); get"
                f" {FILE.name} from {FILE.where} and name it with --from"
            ) from None
        return np.column_stack([bunch.data, bunch.target]).astype(np.int32)
