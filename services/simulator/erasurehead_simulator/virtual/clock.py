"""Virtual time: events in order of their time, and of their scheduling where times are equal."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class VirtualClock:
    """A queue of things to happen. Time moves only from one to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._scheduled = 0

    def __len__(self) -> int:
        return len(self._queue)

    def at(self, time: float, happening: Callable[[], object]) -> None:
        """Let something happen at `time`, or now if that has passed."""
        self._scheduled += 1
        heapq.heappush(self._queue, (max(time, self.now), self._scheduled, happening))

    def after(self, seconds: float, happening: Callable[[], object]) -> None:
        """Let something happen in so many seconds."""
        self.at(self.now + seconds, happening)

    def step(self) -> bool:
        """Move on to the next thing and let it happen; False if there is none."""
        if not self._queue:
            return False
        time, _, happening = heapq.heappop(self._queue)
        self.now = max(time, self.now)
        happening()
        return True

    def sleep(self, seconds: float) -> None:
        """Let time pass in which nothing can happen; what was due then happens afterwards."""
        self.now += seconds
