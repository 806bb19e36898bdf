"""How long things take under a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """How long things take, in virtual seconds; each is asked once per occasion.

    Attributes
    ----------
    message_s: from sending to receiving.
    compute_s: (slot, part) -> for a slot to compute one part of its result.
    send_s: the master's time for one send; a broadcast to many is staggered by it.
    """

    message_s: Callable[[], float] = lambda: 0.0
    compute_s: Callable[[int, int], float] = lambda slot, part: 0.0
    send_s: float = 0.0
