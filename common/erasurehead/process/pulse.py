"""Whether a loop still turns, asked from another thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Pulse:
    """Remembers when the loop last turned.

    A loop that has not begun yet is healthy: reading data may take long, and a process that is
    killed for it would only begin again.

    Parameters
    ----------
    stalled_after_s: seconds without a turn after which the loop counts as stuck.

    Attributes
    ----------
    longest_rest_s: seconds that a loop may wait for something to happen without being taken for
        stuck.
    """

    def __init__(self, stalled_after_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.longest_rest_s = stalled_after_s / 2
        self._stalled_after_s = stalled_after_s
        self._clock = clock
        self._turned: float | None = None

    def beat(self) -> float:
        """Say that the loop turns; return the time."""
        self._turned = now = self._clock()
        return now

    @property
    def begun(self) -> bool:
        """True once the loop has turned."""
        return self._turned is not None

    def healthy(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the loop turned recently, and how long ago."""
        turned = self._turned
        if turned is None:
            return True, {"loop": "not begun"}
        silent_s = self._clock() - turned
        return silent_s < self._stalled_after_s, {"turned_s_ago": round(silent_s, 3)}
