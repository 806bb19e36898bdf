"""What the open round amounts to so far, and its record once it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from erasurehead.coding.base import GradientCode
from erasurehead.records import RoundRecord
from erasurehead_master.machine.actions import CloseRound, Fold, FoldLate
from erasurehead_master.run.descent import Descent, StepOutcome


@dataclass(frozen=True)
class RunTimes:
    """Seconds that a run has taken so far, interruptions left out.

    Attributes
    ----------
    closed_s: the run's clock at the end of the last round.
    rounds_s: of all rounds.
    evaluation_s: of evaluations between rounds.
    """

    closed_s: float = 0.0
    rounds_s: float = 0.0
    evaluation_s: float = 0.0


NO_TIMES = RunTimes()


class RoundLedger:
    """Books arrivals into the descent and time into the record.

    Parameters
    ----------
    descent: does the arithmetic.
    stopwatch: seconds, for the master's own phases (a simulator's stands still).
    resumed: what the run had taken where it was interrupted; the time in between does not count.
    """

    def __init__(
        self,
        descent: Descent,
        stopwatch: Callable[[], float],
        resumed: RunTimes = NO_TIMES,
    ) -> None:
        self._descent = descent
        self._stopwatch = stopwatch
        self._resumed_s = resumed.closed_s
        self.origin: float | None = None
        """The clock when the first round opened; record times count from there."""
        self.rounds_s = resumed.rounds_s
        self._opened = 0.0
        self._encode_s = 0.0
        self._decode_s = 0.0
        self._told: GradientCode | None = None

    def open(self, now: float) -> tuple[frozenset[int], ...]:
        """A round opens; return the groups of slots that the method wants to hear in it."""
        if self.origin is None:
            self.origin = now - self._resumed_s
        self._opened = now
        self._encode_s = self._decode_s = 0.0
        return self._descent.begin()

    def encoded(self, seconds: float) -> None:
        """Book time spent on encoding and sending."""
        self._encode_s += seconds

    def fold(self, fold: Fold) -> None:
        """Take an arrival."""
        start = self._stopwatch()
        for vector, weight in zip(fold.vectors, fold.weights, strict=True):
            self._descent.take(vector, weight)
        self._decode_s += self._stopwatch() - start

    def fold_late(self, late: FoldLate) -> None:
        """Offer a stale result to an estimate that remembers."""
        for vector in late.vectors:
            self._descent.late(vector, late.age)

    def close(
        self,
        action: CloseRound,
        code: GradientCode,
        clock: Callable[[], float],
        traffic: Callable[[], tuple[int, int]],
    ) -> tuple[RoundRecord, StepOutcome]:
        """Decode and step; return the round's record (without metrics) and the step's outcome.

        Parameters
        ----------
        code: the one in force.
        clock: of the run.
        traffic: bytes sent and received since it was last asked.
        """
        assert self.origin is not None
        start = self._stopwatch()
        outcome = self._descent.step(action.decoding, action.round)
        step_s = self._stopwatch() - start
        closed = clock()
        duration_s = closed - self._opened
        bytes_out, bytes_in = traffic()
        record = RoundRecord(
            round=action.round,
            opened_s=self._opened - self.origin,
            closed_s=closed - self.origin,
            reason=action.reason,
            arrivals=action.arrivals,
            stragglers=action.stragglers,
            erased_tasks=action.decoding.erased_tasks,
            decode_error=action.decoding.decode_error,
            amplification=action.decoding.amplification,
            gradient_norm=outcome.gradient_norm,
            step_size=outcome.step_size,
            train_loss=outcome.train_loss,
            bytes_out=bytes_out,
            bytes_in=bytes_in,
            encode_s=self._encode_s,
            wait_s=max(0.0, duration_s - self._encode_s - self._decode_s - step_s),
            decode_s=self._decode_s,
            step_s=step_s,
            late=action.late,
            load_shares=() if code is self._told else tuple((code.loads / code.n_tasks).tolist()),
        )
        self._told = code
        self.rounds_s += duration_s
        return record, outcome
