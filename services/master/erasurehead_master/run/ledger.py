"""What the open round amounts to so far, and its record once it is over.

Real master and simulator carry out the machine's arithmetic actions through this one class; they
differ in the clocks they hand in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.records import RoundRecord
from erasurehead.wire.vectors.base import ROUNDING, Packed, Packer
from erasurehead_master.keep.checkpoint import RunTimes
from erasurehead_master.machine.actions import CloseRound, Fold, FoldLate, Rebuild
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.descent import Descent, StepOutcome

NO_TIMES = RunTimes()


class RoundLedger:
    """Books arrivals into the descent and time and bytes into the record.

    Parameters
    ----------
    machine: knows each slot's support.
    descent: does the arithmetic.
    stopwatch: seconds, for the master's own phases (a simulator's stands still).
    resumed: what the run had taken where it was interrupted; the time in between does not count.
    """

    def __init__(
        self,
        machine: Master,
        descent: Descent,
        stopwatch: Callable[[], float],
        resumed: RunTimes = NO_TIMES,
    ) -> None:
        self._machine = machine
        self._descent = descent
        self._stopwatch = stopwatch
        self._resumed_s = resumed.closed_s
        self.origin: float | None = None
        """The clock when the first round opened; record times count from there."""
        self.rounds_s = resumed.rounds_s
        self.bytes_out = 0
        self.bytes_in = 0
        self._opened = 0.0
        self._encode_s = 0.0
        self._decode_s = 0.0
        self._told: GradientCode | None = None
        self._rng = np.random.default_rng((machine.plan.settings.run.seed, ROUNDING))
        self._packers: dict[int, Packer] = {}
        self._packed: dict[int, Packed] = {}
        """The open round's model by the number of the support it is for."""

    def open(self, now: float) -> None:
        """A round opens."""
        if self.origin is None:
            self.origin = now - self._resumed_s
        self._opened = now
        self._encode_s = self._decode_s = 0.0
        self._packed.clear()
        self._descent.begin()

    def model(self, slot: int) -> Packed:
        """Return what is broadcast to a slot, and to all others with its support."""
        supports = self._machine.supports
        key = supports.keys[slot]
        packed = self._packed.get(key)
        if packed is None:
            if key not in self._packers:
                self._packers[key] = self._machine.plan.vector_format.packer(self._rng)
            values = self._descent.slice(supports[slot])
            packed = self._packed[key] = self._packers[key].pack(values)
        return packed

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

    def rebuild(self, rebuild: Rebuild) -> None:
        """Go on with another code."""
        self._packers.clear()
        self._descent.rebuild(rebuild.plan, keep_memory=rebuild.keep_memory)

    def close(
        self, action: CloseRound, clock: Callable[[], float]
    ) -> tuple[RoundRecord, StepOutcome]:
        """Decode and step; return the round's record (without metrics) and the step's outcome."""
        assert self.origin is not None
        start = self._stopwatch()
        outcome = self._descent.step(action.decoding, action.round)
        step_s = self._stopwatch() - start
        closed = clock()
        duration_s = closed - self._opened
        code = self._machine.plan.code
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
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
            encode_s=self._encode_s,
            wait_s=max(0.0, duration_s - self._encode_s - self._decode_s - step_s),
            decode_s=self._decode_s,
            step_s=step_s,
            late=action.late,
            load_shares=() if code is self._told else tuple((code.loads / code.n_tasks).tolist()),
        )
        self._told = code
        self.rounds_s += duration_s
        self.bytes_out = self.bytes_in = 0
        return record, outcome
