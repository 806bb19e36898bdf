"""What text and Parquet files have in common: pieces of columns, and where their rows stand."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encodings.table import TextForm


@dataclass(frozen=True, eq=False)
class Piece:
    """Consecutive rows of one file.

    Attributes
    ----------
    path: of the file.
    rows: their numbers in it, from 1, shape (rows,).
    columns: name -> Arrow array of as many values.
    """

    path: Path
    rows: npt.NDArray[np.int64]
    columns: Mapping[str, Any]

    def take(self, chosen: npt.NDArray[np.bool_]) -> Piece:
        """Return the chosen rows, shape (rows,)."""
        columns = {name: array.filter(chosen) for name, array in self.columns.items()}
        return Piece(self.path, self.rows[chosen], columns)


class Table(Protocol):
    """One or several files that hold one table."""

    @property
    def path(self) -> Path:
        """What messages call it."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of its columns, in their order."""
        ...

    @property
    def form(self) -> TextForm | None:
        """How its texts are written; None: values have types of their own."""
        ...

    @property
    def said(self) -> Sequence[str]:
        """Sentences on what was found out about its form."""
        ...

    def pieces(self, wanted: Sequence[str], numbers: Container[str] = ()) -> Iterator[Piece]:
        """Yield all rows in their order, with the wanted columns.

        Parameters
        ----------
        numbers: columns of texts that are to be numbers if they can; it may change meanwhile.

        Raises
        ------
        DataError: the files cannot be read as such a table.
        """
        ...
