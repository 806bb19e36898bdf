"""Tables of which no terminal is too narrow to show every digit."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table


def print_whole(console: Console, table: Table) -> None:
    """Print a table; columns that may not wrap keep their width.

    A terminal in which they have no room gets lines that are longer than it is: a number that is
    cut, or has lost its unit, is a wrong one.
    """
    before = console.width
    console.width = max(before, least_width(table))
    try:
        console.print(table)
    finally:
        console.width = before


def least_width(table: Table) -> int:
    """Return how many characters a line needs so that no cell is cut that may not wrap."""
    _, right, _, left = table.padding
    return sum(_least(column) + left + right + 1 for column in table.columns)


def _least(column: Column) -> int:
    if not column.no_wrap:
        return column.min_width or 0
    texts = [str(cell) for cell in (column.header, *column.cells)]
    return max(cell_len(line) for text in texts for line in text.split("\n"))
