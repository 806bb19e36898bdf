"""What the observers of a run are told, each thing once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from erasurehead.arrays import FloatArray
from erasurehead.network.limits import LogLimit
from erasurehead.records import Level, Observer, RoundRecord, RunStart, RunSummary
from erasurehead_master.run.seams import Clock, Outcome

NOTICES_AT_ONCE = 1000
"""Of one level; peers cause some of them, and could fill a disk."""

NOTICES_PER_S = 10


class Reporter:
    """Passes on to all observers what happens in a run.

    Parameters
    ----------
    observers: called in order.
    clock: of the run.
    """

    def __init__(self, observers: Sequence[Observer], clock: Clock) -> None:
        self.start: RunStart | None = None
        self._observers = observers
        self._clock = clock
        self._limit = LogLimit(NOTICES_AT_ONCE, NOTICES_PER_S)
        self._lost_checkpoints = 0

    def started(self, start: RunStart) -> None:
        """The first round is about to open."""
        self.start = start
        for observer in self._observers:
            observer.started(start)

    def notice(self, level: Level, text: str) -> None:
        """Tell something, unless too much of its level was told."""
        line = self._limit.admit(level, text, self._clock())
        if line is not None:
            for observer in self._observers:
                observer.notice(level, line)

    def moved(self, round_: int, model: Callable[[], FloatArray]) -> str | None:
        """The method has stepped; return why an observer wants the run to end, if one does."""
        wishes = [observer.moved(round_, model) for observer in self._observers]
        return next(filter(None, wishes), None)

    def round_over(self, record: RoundRecord) -> None:
        """A round's record is complete."""
        for observer in self._observers:
            observer.round_over(record)

    def checkpointed(self, outcomes: Sequence[Outcome]) -> None:
        """Tell of checkpoints that were written, and once of each spell of failures."""
        for round_, error in outcomes:
            if error is not None and self._lost_checkpoints == 0:
                self.notice(
                    "error",
                    f"cannot write the checkpoint of round {round_}: {error}; the older ones stay,"
                    " training goes on",
                )
            self._lost_checkpoints = 0 if error is None else self._lost_checkpoints + 1
            for observer in self._observers:
                observer.checkpointed(round_, error is None)

    def finished(self, model: FloatArray, round_: int, summary: RunSummary) -> None:
        """The run is over and leaves the model after a round; if there was one, it is told of."""
        for observer in self._observers:
            if self.start is not None:
                observer.model(model, self.start, round_)
            observer.finished(summary)
