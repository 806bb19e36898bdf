"""A tracker as an observer of a run: fed aside, so that no round waits for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from erasurehead.errors import reason_of
from erasurehead.process.aside import Aside
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.tracking.base import Tracker
from erasurehead.tracking.values import ending_of, round_values, start_facts, test_values

PATIENCE_S = 60.0
"""Seconds that a tracker has at the end of a run for what it has not kept yet."""

MOST_WAITING = 10_000
"""Rounds that a tracker may be behind; they wait in memory."""


class Tracking(Observer):
    """Feeds a tracker the records of a run.

    A tracker that fails is told nothing more, and the run goes on. One that is `MOST_WAITING`
    rounds behind misses those that close until it has kept some.

    Parameters
    ----------
    tracker: of the user's choice.
    trouble: told once each, in a sentence, when it has failed, and when it misses rounds.
    """

    def __init__(self, tracker: Tracker, trouble: Callable[[str], object]) -> None:
        self._tracker = tracker
        self._trouble = trouble
        self._aside: Aside | None = None
        self._rounds = 0
        self._told = False
        self._missed = 0

    def started(self, start: RunStart) -> None:
        """Have the tracker begin."""
        self._aside = Aside()
        self._rounds = start.rounds
        self._aside.do(partial(self._tracker.begin, start_facts(start)))

    def round_over(self, record: RoundRecord) -> None:
        """Have the round's numbers kept."""
        assert self._aside is not None
        if self._aside.waiting < MOST_WAITING:
            values = round_values(record)
            self._aside.do(partial(self._tracker.round_over, record.round, record.closed_s, values))
        elif not self._aside.failed:
            self._missed += 1
            if self._missed == 1:
                self._trouble(
                    f"tracker {self._tracker.name} is {MOST_WAITING} rounds behind and misses"
                    f" rounds from {record.round} on until it has caught up; the run's own"
                    " directory has them"
                )
        self._tell(self._aside.failed)

    def finished(self, summary: RunSummary) -> None:
        """Have the tracker end, and wait until it has kept everything."""
        if self._aside is None:
            return  # no round was opened
        values, ending = test_values(summary.metrics), ending_of(summary, self._rounds)
        self._aside.do(partial(self._tracker.end, values, ending, summary.reason))
        if not self._aside.finish(PATIENCE_S):
            self._trouble(
                f"tracker {self._tracker.name} has not kept everything after {PATIENCE_S:g} s; the"
                " run's own directory has it all"
            )
        self._tell(self._aside.failed)

    def _tell(self, failed: Exception | None) -> None:
        if failed is not None and not self._told:
            self._told = True
            self._trouble(
                f"tracker {self._tracker.name} failed ({type(failed).__name__}:"
                f" {reason_of(failed)}); the run goes on without it"
            )
