"""From a run's records to a trace that replays its stragglers.

A round closes before all workers have answered, so of most stragglers only a lower bound is known:
"not within 0.27 s". Beside each value the trace keeps how it is known (`Source`), and
docs/simulator.md says what each is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import BoolArray, FloatArray, IntArray
from erasurehead.errors import DataError
from erasurehead.records import RoundRecord
from erasurehead.runs import Run
from erasurehead_simulator.traces.survival import Survival

OWN_EVENTS = 5
"""Times of its own that a slot must have shown beyond a bound to be drawn from; else all slots'
times are drawn from."""


class Source(IntEnum):
    """Where a time comes from, the best first."""

    ARRIVAL = 0
    LATE_RESULT = 1
    INJECTED = 2
    DRAWN = 3
    LOWER_BOUND = 4


DESCRIPTIONS = {
    Source.ARRIVAL: "measured: arrived in its round",
    Source.LATE_RESULT: "measured: arrived late",
    Source.INJECTED: "computed: the injected delay, known from the seed",
    Source.DRAWN: "drawn from the times seen beyond the round's close",
    Source.LOWER_BOUND: "lower bound: nothing later was ever seen",
}


@dataclass(frozen=True, eq=False)
class RecordedTrace:
    """What every slot took in every round.

    Attributes
    ----------
    delays_s: everything but computing: injected delay, network, waiting; shape (T, k).
    scaled_s: the part of it that scales with the load: of injected delays that do; shape (T, k).
    compute_s: shape (T, k).
    compute_share: share of all tasks that was computed, shape (T, k).
    source: `Source` of each value, shape (T, k).
    batch: share of its rows that a task used in a round.
    """

    delays_s: FloatArray
    scaled_s: FloatArray
    compute_s: FloatArray
    compute_share: FloatArray
    source: IntArray
    batch: float = 1.0

    @property
    def pass_s(self) -> float:
        """Median seconds for a pass over all rows on one worker, from the measured ones."""
        measured = self.source == Source.ARRIVAL
        of_batches_s = float(np.median((self.compute_s / self.compute_share)[measured]))
        return of_batches_s / self.batch

    def count(self, source: Source) -> int:
        """Return how many values come from there."""
        return int(np.count_nonzero(self.source == source))

    def arrays(self) -> dict[str, Any]:
        """Return what the .npz file holds."""
        return {
            "delays_s": self.delays_s,
            "scaled_s": self.scaled_s,
            "load_share": self.compute_share,
            "compute_s": self.compute_s,
            "compute_share": self.compute_share,
            "source": self.source.astype(np.int8),
        }


def record_trace(run: Run) -> RecordedTrace:
    """Make the trace of a finished run.

    Raises
    ------
    DataError: the run is unfinished, closed no round, had no arrival, or is damaged; or its
        results were parts of what a slot computes.
    """
    if run.summary is None or run.start is None or not run.summary.rounds:
        raise DataError(f"run {run.path} closed no round; there is nothing to trace")
    start = run.start
    if run.settings.fitted().code.counts_parts:
        raise DataError(
            f"run {run.path} sent results task by task, whose times are not those of whole results;"
            " take the trace of a run without parts=tasks"
        )
    table = _Table(run.summary.rounds, run.settings.coding.workers)
    shares = np.full(run.settings.coding.workers, 1.0 / start.n_tasks)
    shares[: len(start.loads)] = np.array(start.loads) / start.n_tasks
    table.fill(run.path, run, shares)
    if not table.seen.any():
        raise DataError(f"no result arrived in run {run.path}; there is nothing to trace")
    # A slot without tasks has no time of its own; it is taken for one with the fewest.
    fewest = np.where(table.share > 0, table.share, np.inf).min(axis=1, keepdims=True)
    share = np.where(table.share > 0, table.share, fewest)
    compute_s = _usual(table.compute_s / share) * share
    source = np.where(table.late, Source.LATE_RESULT, Source.ARRIVAL)
    total_s = table.total_s.copy()
    missing = ~table.seen
    scaled_s = np.zeros_like(total_s)
    delays = run.settings.delays()
    if not delays.delays_no_one:
        rounds = [*zip(table.rounds.tolist(), share, strict=True)]
        injected_s = np.array([delays.delays_s(t, row) for t, row in rounds])
        twice_s = np.array([delays.delays_s(t, 2.0 * row) for t, row in rounds])
        scaled_s = twice_s - injected_s  # every model is a constant and a multiple of the load
        other_s = _usual(table.total_s - table.delay_s - table.compute_s)
        expected_s = injected_s + compute_s + other_s
        closed_s = np.broadcast_to(table.closed_s[:, np.newaxis], expected_s.shape)
        known = missing & table.sent
        # Whatever the sum says, it did not come before the round closed.
        total_s[known] = np.maximum(expected_s, closed_s)[known]
        source[known] = np.where(expected_s >= closed_s, Source.INJECTED, Source.LOWER_BOUND)[known]
        missing &= ~known
    _draw(table, missing, total_s, source, np.random.default_rng((run.settings.run.seed, 0x72AC)))
    delays_s = np.maximum(total_s - compute_s, 0.0)
    scaled_s = np.clip(scaled_s, 0.0, delays_s)
    batch = run.settings.descent.batch
    return RecordedTrace(delays_s, scaled_s, compute_s, share, source, batch)


class _Table:
    """Rounds times slots: what the records say."""

    def __init__(self, n_rounds: int, n_slots: int) -> None:
        shape = (n_rounds, n_slots)
        self.rounds = np.zeros(n_rounds, dtype=np.int64)
        self.closed_s = np.zeros(n_rounds)
        self.total_s = np.full(shape, np.nan)
        self.compute_s = np.full(shape, np.nan)
        self.delay_s = np.full(shape, np.nan)
        self.late = np.zeros(shape, dtype=bool)
        self.sent = np.zeros(shape, dtype=bool)
        self.share = np.zeros(shape)

    @property
    def seen(self) -> BoolArray:
        """Which times were measured."""
        seen: BoolArray = ~np.isnan(self.total_s)
        return seen

    def fill(self, path: Path, records: Iterable[RoundRecord], share: FloatArray) -> None:
        """Take the records of a run in order; `share` of the tasks is each slot's at the start.

        Raises
        ------
        DataError: a record names a slot that there is not, or there are too many.
        """
        n_rounds, n_slots = self.sent.shape
        row_of: dict[int, int] = {}
        for row, record in enumerate(records):
            named = [arrival.slot for arrival in record.arrivals]
            named += [late.slot for late in record.late]
            highest = max((*named, *record.stragglers), default=0)
            if highest >= n_slots or row >= n_rounds:
                raise DataError(
                    f"run {path} is damaged: round {record.round} is one more than its summary"
                    f" counts, or names a slot beyond its {n_slots} workers; take another run"
                )
            if record.load_shares:
                # Of slots that a rebuilt code does not have, nothing is known but what was before.
                share = np.concatenate([record.load_shares, share[len(record.load_shares) :]])
            self.share[row] = share[:n_slots]
            row_of[record.round] = row
            self.rounds[row] = record.round
            self.closed_s[row] = record.duration_s - record.step_s
            for arrival in record.arrivals:
                at = row, arrival.slot
                self.total_s[at], self.sent[at] = arrival.after_s, True
                self.compute_s[at], self.delay_s[at] = arrival.compute_s, arrival.delay_s
            self.sent[row, list(record.stragglers)] = True
            for late in record.late:
                at = row_of.get(late.round, -1), late.slot
                if at[0] >= 0 and np.isnan(self.total_s[at]):
                    self.total_s[at], self.late[at] = late.after_s, True


def _usual(values: FloatArray) -> FloatArray:
    """Fill what is missing with the slot's median, or that of all slots; shape as `values`."""
    filled = values.copy()
    everyone = float(np.nanmedian(values))
    for column in filled.T:
        known = column[~np.isnan(column)]
        column[np.isnan(column)] = np.median(known) if len(known) else everyone
    return filled


def _draw(
    table: _Table,
    missing: BoolArray,
    total_s: FloatArray,
    source: IntArray,
    rng: np.random.Generator,
) -> None:
    """Fill the missing times: later than the round's close, if the slot took part at all."""
    if not missing.any():
        return
    beyond_s = np.where(table.sent, table.closed_s[:, np.newaxis], 0.0)
    # A slot that was not there says nothing about its times.
    told = table.seen | table.sent
    given_s = np.where(table.seen, table.total_s, beyond_s)
    everyone = Survival.estimate(given_s[told], table.seen[told])
    for slot in range(missing.shape[1]):
        own = Survival.estimate(given_s[told[:, slot], slot], table.seen[told[:, slot], slot])
        for row in np.flatnonzero(missing[:, slot]):
            bound = float(beyond_s[row, slot])
            model = own if own.n_beyond(bound) >= OWN_EVENTS else everyone
            total_s[row, slot], drawn = model.draw_beyond(bound, float(rng.random()))
            source[row, slot] = Source.DRAWN if drawn else Source.LOWER_BOUND
