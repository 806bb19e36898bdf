"""How far the reading of a large table is, now and then, in one line."""

from __future__ import annotations

import time
from collections.abc import Callable

LINE_INTERVAL_S = 5.0


class RowsRead:
    """Told how many rows have been read, it prints that and the speed every few seconds.

    Parameters
    ----------
    tell: prints a line.
    clock: seconds that only go up.
    """

    def __init__(
        self, tell: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
        self._began = self._told = clock()
        self._before = 0

    def __call__(self, rows: int) -> None:
        """Take note of the rows so far; fewer than before mean that reading has begun again."""
        now = self._clock()
        if rows < self._before:
            self._began = now
        self._before = rows
        if now - self._told >= LINE_INTERVAL_S:
            self._told = now
            self._tell(f"{rows:,} rows read, {rows_a_second(rows, now - self._began)}")


def rows_a_second(rows: int, seconds: float) -> str:
    """Return a speed in words."""
    return f"{rows / seconds:,.0f} rows a second" if seconds > 0 else "at once"
