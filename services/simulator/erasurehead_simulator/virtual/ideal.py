"""How long a round must last at least: what the drawn delays alone cost under a scheme.

Computing, sending, decoding and stepping take no time here, so a real round divided by its ideal
is what our own overhead costs. The arrivals are fed to the scheme's own decoder and stop rule
through the master's own rounds; nothing is judged twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erasurehead.arrays import BoolArray, FloatArray, IntArray
from erasurehead.schemes.coding import Coding
from erasurehead.straggling.base import DelayModel
from erasurehead_master.machine.rounds import Rounds


def ideal_round_s(
    coding: Coding,
    delays: DelayModel,
    rounds: Sequence[int],
    took_part: BoolArray | None = None,
) -> FloatArray:
    """Return the seconds after which each of `rounds` could close, shape (number of rounds,).

    Rounds count from 1 and are played in the order given. `took_part`, shape (number of rounds, k),
    says which slots a round was sent to; default: all. A round without slots takes no time. For
    `fraction` this is min(r-th smallest delay, coverage time), for `exact` the coverage time (arXiv
    1901.09671, section 3).
    """
    code = coding.code
    load_shares = code.loads / code.n_tasks
    played = Rounds(coding.begin())
    if took_part is None:
        took_part = np.ones((len(rounds), code.n_workers), dtype=np.bool_)
    return np.array(
        [
            _play(played, delays.delays_s(t, load_shares), np.flatnonzero(present))
            for t, present in zip(rounds, took_part, strict=True)
        ]
    )


def _play(played: Rounds, delays_s: FloatArray, present: IntArray) -> float:
    """Play one round; return when it closed."""
    if not len(present):
        return 0.0
    played.open(0.0, present.tolist())
    for slot in present[np.argsort(delays_s[present], kind="stable")].tolist():
        now = float(delays_s[slot])
        if played.wake_at is not None and played.wake_at <= now:
            played.wake(played.wake_at)
        for part in range(played.code.n_parts):
            if played.expects(slot, part):
                played.arrive(slot, part, now)
        if played.closed is not None:
            break
    played.close()
    return played.elapsed_s
