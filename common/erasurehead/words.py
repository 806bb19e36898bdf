"""Numbers and names in sentences."""

from __future__ import annotations

from collections.abc import Sequence

MOST_LISTED = 20
LONGEST_NAME = 40


def counted(n: int, thing: str) -> str:
    """Return how many there are of a thing: ``1 row``, ``2 rows``."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def listed(names: Sequence[str]) -> str:
    """Return names with commas between; of many the first, of long ones the beginning.

    A file that is no table may well have a column of a megabyte, or one that rings the bell.
    """
    shown = ["".join(c if c.isprintable() else "?" for c in name) for name in names[:MOST_LISTED]]
    cut = [name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "..." for name in shown]
    more = len(names) - len(cut)
    return ", ".join(cut) + (f" and {more:,} more" if more else "")
