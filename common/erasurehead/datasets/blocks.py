"""Rows that are made or read block by block, so that they need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from erasurehead.rows import CsrRows


@dataclass(frozen=True, eq=False)
class RowBlocks:
    """Rows whose number is known before they are there.

    Attributes
    ----------
    n_rows, nnz, n_columns: of all rows together.
    arrays: the arrays that every block has, of those that rows need not have.
    blocks: yields the rows in their order, the same at every call.
    """

    n_rows: int
    nnz: int
    n_columns: int
    arrays: frozenset[str]
    blocks: Callable[[], Iterator[CsrRows]]


OPTIONAL = ("values", "weights", "offsets")


def blocks_of(rows: CsrRows) -> RowBlocks:
    """Return rows that are there as one block."""
    return RowBlocks(
        n_rows=len(rows.labels),
        nnz=int(rows.indptr[-1]),
        n_columns=rows.n_columns,
        arrays=frozenset(name for name in OPTIONAL if getattr(rows, name) is not None),
        blocks=lambda: iter([rows]),
    )
