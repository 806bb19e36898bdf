"""Rounds without gradients: coverage and time only, for more workers than machines can be had.

The master's own `Rounds` is driven with the delays of all slots at once and their arrivals in
order, so a round of ten thousand workers takes milliseconds. Rounds open, arrivals come and rounds
close exactly as in a `VirtualCluster` whose messages take no time; but for rounds that a method
rejects, after which it waits for units that are older than is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.units import Units
from erasurehead.records import Arrival
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.regrouping import go_on, is_due, remember_alike, same_tasks
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling.base import DelayModel
from erasurehead_master.machine.rounds import Rounds
from erasurehead_master.machine.sending import sending_order
from erasurehead_master.run.waiting import Overdue, overdue_units
from erasurehead_simulator.virtual.compute_times import compute_times_s, round_pass_s

Waits = Callable[[Coding], Overdue | None]
"""From a coding to which units a method waits for; see `erasurehead_master.run.waiting`."""


def no_units(coding: Coding) -> None:
    """Say that a method waits for no units."""


@dataclass(frozen=True, slots=True)
class PlayedRound:
    """One round; times count from the start of the run.

    `arrivals` has the first one of each slot; `renewed_share` is the share of what a cache would
    remember, groups or slots, that arrivals renewed.
    """

    round: int
    opened_s: float
    closed_s: float
    reason: str
    decoding: Decoding
    arrivals: Sequence[Arrival]
    renewed_share: float


def play_rounds(
    coding: Coding,
    delays: DelayModel,
    n_rounds: int,
    seed: int,
    pass_s: float = 0.0,
    regroup_after_rounds: int = 0,
    waits: Waits = no_units,
) -> Iterator[PlayedRound]:
    """Yield one round after another. Between two, tasks are regrouped when the master would.

    Parameters
    ----------
    coding: that of the first round.
    delays: of all slots.
    seed: of the run, for the order in which slots are sent the model.
    pass_s: seconds in which one worker would compute the gradient of all rows.
    regroup_after_rounds: setting `refit.regroup_after_rounds` of the run.
    waits: which units the method of the run waits for.
    """
    placed_round = 0
    now = 0.0
    session = coding.begin()
    fitted: Coding | None = None
    heard: dict[int, int] = {}
    from_start = True
    for round_ in range(1, n_rounds + 1):
        learnt, waited = session.learnt.slots, round_ - 1 - placed_round
        known = coding.places_by
        if known is not None and is_due(known, learnt, waited, regroup_after_rounds):
            regrouped, placed_round = coding.placed_by(learnt.probabilities), round_ - 1
            if not same_tasks(regrouped.code, coding.code):
                if not remember_alike(coding, regrouped):
                    heard, from_start = {}, False
                coding, session = regrouped, go_on(session, coding, regrouped)
        if coding is not fitted:
            fitted, code = coding, coding.code
            shares = code.loads / code.n_tasks
            compute_s = compute_times_s(code, pass_s)
            rounds, overdue = Rounds(session), waits(coding)
            renewing = None if overdue is None else Units(code).arrivals
            all_slots = range(code.n_workers)
        opened = now
        rounds.open(now, all_slots)
        if overdue is not None and renewing is not None:
            ages = [round_ - heard[u] if u in heard else None for u in range(len(renewing))]
            due = overdue(ages, round_ if from_start else None)
            rounds.want([renewing[unit] for unit in due])
        delays_s = delays.delays_s(round_, shares)
        # The same sums in the same order as events under a virtual clock, so that both agree to
        # the last bit: of each part, its share of the delay ends, then it is computed.
        waited_s = np.outer(delays_s, code.delay_shares)
        at = np.full_like(waited_s, opened)
        for part in range(code.n_parts):
            at[:, part:] = (at[:, part] + waited_s[:, part] + compute_s[:, part])[:, np.newaxis]
        order = sending_order(seed, round_, code.n_workers)
        now = _play(rounds, at, order, compute_s, waited_s)
        assert rounds.closed is not None
        reason, arrivals = rounds.closed, rounds.arrivals
        arrived = rounds.arrived
        decoding, _ = rounds.close()
        renewed = np.unique(code.unit_of_arrival[list(arrived)])
        if renewing is not None:
            heard |= {u: round_ for u, of in enumerate(renewing) if not of.isdisjoint(arrived)}
        share = len(renewed) / code.n_units
        yield PlayedRound(round_, opened, now, reason, decoding, arrivals, share)


def _play(
    rounds: Rounds, at: FloatArray, order: IntArray, compute_s: FloatArray, waited_s: FloatArray
) -> float:
    """Let results come in at the times `at`, shape (k, parts), until the round closes; return when.

    Of equal times, an earlier part comes first, and of the same part that of the slot which was
    sent the model first.
    """
    k = len(at)
    sent = at[order].T.ravel()
    ranked = np.argsort(sent, kind="stable")
    times = sent[ranked].tolist()
    slots, parts = order[ranked % k], ranked // k
    part_of = parts.tolist()
    computed = compute_s[slots, parts].tolist()
    delayed = waited_s[slots, parts].tolist()
    arrive = rounds.arrive
    for i, slot in enumerate(slots.tolist()):
        now: float = times[i]
        if rounds.wake_at is not None and rounds.wake_at <= now:
            due = rounds.wake_at
            rounds.wake(due)
            if rounds.closed is not None:
                return due
        arrive(slot, part_of[i], now, computed[i], delayed[i])
        if rounds.closed is not None:
            return now
    raise AssertionError("a round closes at the latest when all have arrived")


@dataclass(frozen=True, eq=False)
class Timeline:
    """Columns of shape (rounds,).

    Attributes
    ----------
    erased_share: of the tasks.
    mean_weight: mean realised task weight; below 1 steps are too short on average.
    renewed_share: as `PlayedRound.renewed_share`.
    reasons: why rounds closed, and how often.
    """

    duration_s: FloatArray
    n_arrived: FloatArray
    erased_share: FloatArray
    decode_error: FloatArray
    mean_weight: FloatArray
    renewed_share: FloatArray
    reasons: dict[str, int]

    def columns(self) -> dict[str, Any]:
        """Return the columns by name."""
        return {
            "duration_s": self.duration_s,
            "n_arrived": self.n_arrived,
            "erased_share": self.erased_share,
            "decode_error": self.decode_error,
            "mean_weight": self.mean_weight,
            "renewed_share": self.renewed_share,
        }

    @property
    def total_s(self) -> float:
        """Virtual seconds of all rounds."""
        return float(np.sum(self.duration_s))


def timeline(
    coding: Coding,
    delays: DelayModel,
    n_rounds: int,
    seed: int,
    pass_s: float = 0.0,
    regroup_after_rounds: int = 0,
    waits: Waits = no_units,
) -> Timeline:
    """Play rounds (`play_rounds`) and keep one number of each kind a round."""
    columns = np.empty((6, n_rounds))
    reasons: dict[str, int] = {}
    rounds = play_rounds(coding, delays, n_rounds, seed, pass_s, regroup_after_rounds, waits)
    for i, played in enumerate(rounds):
        decoding = played.decoding
        columns[:, i] = (
            played.closed_s - played.opened_s,
            len(played.arrivals),
            decoding.erased_tasks / coding.code.n_tasks,
            decoding.decode_error,
            float(np.mean(decoding.task_weights)),
            played.renewed_share,
        )
        reasons[played.reason] = reasons.get(played.reason, 0) + 1
    duration_s, n_arrived, erased_share, decode_error, mean_weight, renewed_share = columns
    return Timeline(
        duration_s, n_arrived, erased_share, decode_error, mean_weight, renewed_share, reasons
    )


def timeline_of(settings: RunSettings, coding: Coding, pass_s: float = 0.0) -> Timeline:
    """Play the rounds of a run that has these settings.

    Parameters
    ----------
    coding: theirs (`fitted`).
    pass_s: seconds in which one worker would compute the gradient of all rows, of which a round may
        use a share.
    """
    return timeline(
        coding,
        settings.delays(),
        settings.descent.rounds,
        settings.run.seed,
        round_pass_s(settings, pass_s),
        settings.refit.regroup_after_rounds,
        partial(overdue_units, settings),
    )
