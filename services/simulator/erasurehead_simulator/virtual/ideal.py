"""How long a round must last at least: what the drawn delays alone cost under a scheme.

Computing, sending, decoding and stepping take no time here, so a real round divided by its ideal
is what our own overhead costs. The arrivals are fed to the scheme's own decoder and stop rule
through the master's own rounds; nothing is judged twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erasurehead.arrays import BoolArray, FloatArray
from erasurehead.estimating.units import Units
from erasurehead.schemes.coding import Coding
from erasurehead.straggling.base import DelayModel
from erasurehead_master.machine.rounds import Rounds
from erasurehead_master.run.waiting import Overdue


def ideal_round_s(
    coding: Coding,
    delays: DelayModel,
    rounds: Sequence[int],
    took_part: BoolArray | None = None,
    overdue: Overdue | None = None,
) -> FloatArray:
    """Return the seconds after which each of `rounds` could close, shape (number of rounds,).

    Rounds count from 1 and are played in the order given. `took_part`, shape (number of rounds, k),
    says which slots a round was sent to; default: all. A round without slots takes no time. For
    `fraction` this is min(r-th smallest delay, coverage time), for `exact` the coverage time (arXiv
    1901.09671, section 3); but where the run's method waits for units, which `overdue` says, the
    round lasts until these are in.
    """
    code = coding.code
    load_shares = code.loads / code.n_tasks
    played = Rounds(coding.begin())
    renewing = [] if overdue is None else Units(code).arrivals
    heard: dict[int, int] = {}
    if took_part is None:
        took_part = np.ones((len(rounds), code.n_workers), dtype=np.bool_)
    lasted_s = np.zeros(len(rounds))
    for i, (t, sent) in enumerate(zip(rounds, took_part, strict=True)):
        present = np.flatnonzero(sent).tolist()
        if not present:
            continue
        played.open(0.0, present)
        if overdue is not None:
            ages = [t - heard[u] if u in heard else None for u in range(len(renewing))]
            played.want([renewing[unit] for unit in overdue(ages, t)])
        _play(played, delays.delays_s(t, load_shares), present)
        heard |= {unit: t for unit, of in enumerate(renewing) if not of.isdisjoint(played.arrived)}
        played.close()
        lasted_s[i] = played.elapsed_s
    return lasted_s


def _play(played: Rounds, delays_s: FloatArray, present: Sequence[int]) -> None:
    """Let results come in until the open round closes."""
    waited = np.cumsum(played.code.delay_shares)
    due = [(float(delays_s[slot] * w), p, slot) for p, w in enumerate(waited) for slot in present]
    for now, part, slot in sorted(due, key=lambda result: result[:2]):
        if played.wake_at is not None and played.wake_at <= now:
            played.wake(played.wake_at)
        if played.expects(slot, part):
            played.arrive(slot, part, now)
        if played.closed is not None:
            return
