"""Which workers of this machine compute now: as many at a time as there are cores.

Thirty workers that all start on a long gradient at once on two cores all finish near the end, each
having found the caches full of the others' rows. A round that closes at the r-th arrival then waits
as long as for the last. In turns the first is done after a thirtieth of the time (times two), and a
worker that learns in the queue that the round is over has not computed for nothing.

No I/O here: the nursery carries messages between this and its workers.
"""

from __future__ import annotations

import math
from collections import OrderedDict

EXPIRY_S = 0.1
"""A turn counts as given back after so long, so a frozen worker stops no other for longer, and
computations that take longer share the cores as usual."""


class TurnKeeper:
    """Grants turns in the order they were asked for.

    Parameters
    ----------
    n_turns: how many workers may have one at a time.
    """

    def __init__(self, n_turns: int) -> None:
        self._n_turns = n_turns
        self._queue: OrderedDict[int, int] = OrderedDict()
        self._expires: dict[int, float] = {}

    @property
    def wake_at(self) -> float:
        """When a turn expires while other workers wait."""
        return min(self._expires.values(), default=math.inf) if self._queue else math.inf

    def ask(self, worker: int, wish: int) -> None:
        """Let a worker queue up, last; an older wish of its own is forgotten."""
        self.leave(worker)
        self._queue[worker] = wish

    def leave(self, worker: int) -> None:
        """Take back a worker's turn, or its place in the queue."""
        self._queue.pop(worker, None)
        self._expires.pop(worker, None)

    def grant(self, now: float) -> list[tuple[int, int]]:
        """Return the workers that have a turn from now on, each with the number of its wish."""
        if self._queue:
            self._expires = {w: at for w, at in self._expires.items() if at > now}
        granted = []
        while self._queue and len(self._expires) < self._n_turns:
            worker, wish = self._queue.popitem(last=False)
            self._expires[worker] = now + EXPIRY_S
            granted.append((worker, wish))
        return granted
