"""Tables that commands write into pages, each between two marks of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from erasurehead.errors import UsageError


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose others are numbers."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_section(page: Path, name: str, text: str) -> None:
    """Put `text` between the marks of a section of a page.

    Raises
    ------
    UsageError: the page has no such marks.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    head, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise UsageError(f"{page} has no section between the lines '{begin}' and '{end}'; add them")
    page.write_text("\n".join([head + begin, "", text, "", end + tail]), encoding="utf-8")
