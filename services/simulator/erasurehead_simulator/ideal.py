"""How long a round must last at least: what the drawn delays alone cost under a scheme.

Computing, sending, decoding and stepping take no time here and every slot takes part, so a real
round divided by its ideal is what our own overhead costs. The arrivals are fed to the scheme's own
decoder and stop rule through the master's own rounds; nothing is judged twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from erasurehead.coding.base import FloatArray
from erasurehead.decoding.base import Decoder
from erasurehead.placement import Placed
from erasurehead.straggling.base import DelayModel
from erasurehead_master.rounds import Rounds


class SchemeParts(Placed, Protocol):
    """What decides when a round closes: a `RunPlan` or a `BuiltScheme`, fresh; it is used up."""

    @property
    def decoder(self) -> Decoder:
        """Weighs arrivals."""


def ideal_round_s(parts: SchemeParts, delays: DelayModel, rounds: Iterable[int]) -> FloatArray:
    """Return the seconds after which each of `rounds` could close, shape (number of rounds,).

    Rounds count from 1 and are played in the order given. For `fraction` this is min(r-th
    smallest delay, coverage time), for `exact` the coverage time (arXiv 1901.09671, section 3).
    """
    code = parts.code
    load_shares = code.loads / code.n_tasks
    played = Rounds(code, parts.decoder, parts.stop)
    return np.array([_play(played, delays.delays_s(t, load_shares)) for t in rounds])


def _play(played: Rounds, delays_s: FloatArray) -> float:
    """Play one round; return when it closed."""
    played.open(0.0, range(len(delays_s)))
    for slot in np.argsort(delays_s, kind="stable").tolist():
        now = float(delays_s[slot])
        if played.wake_at is not None and played.wake_at <= now:
            played.wake(played.wake_at)
        for part in range(played.code.n_messages):
            if played.expects(slot, part):
                played.arrive(slot, part, now)
        if played.closed is not None:
            break
    played.close()
    return played.elapsed_s
