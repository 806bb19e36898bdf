"""When to take a checkpoint, and when it may be written."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from erasurehead.errors import reason_of
from erasurehead.settings.groups import CheckpointSettings
from erasurehead_master.keep.checkpoint import (
    DIRECTORY,
    CheckpointDirectory,
    CheckpointWriter,
    Snapshot,
)
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.finishing import Finishing
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.seams import Outcome

log = logging.getLogger(__name__)


class CheckpointKeeper:
    """Takes snapshots between rounds and hands them over once their records are on disk.

    A checkpoint ahead of the records would leave a gap in them after a crash.

    Parameters
    ----------
    settings: how often.
    writer: where snapshots go.
    descent, machine, finishing: whose state they hold.
    now: the clock's reading at the start.
    """

    def __init__(
        self,
        settings: CheckpointSettings,
        writer: CheckpointWriter,
        descent: Descent,
        machine: Master,
        finishing: Finishing,
        now: float,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._descent = descent
        self._machine = machine
        self._finishing = finishing
        self._taken_at = now
        self._pending: Snapshot | None = None
        self._newest = 0

    def closed(self, round_: int, times: RunTimes, now: float) -> None:
        """A round was stepped; take a snapshot if one is due."""
        every = self._settings.every_rounds
        due = every is not None and round_ % every == 0
        if due or now - self._taken_at >= self._settings.every_s:
            self._take(round_, times, now)

    def reported(self, round_: int) -> None:
        """Everything up to this round is recorded."""
        if self._pending is not None and self._pending.round <= round_:
            # Only now are the metrics of the round known, and the round is the last that is.
            arrays = {**self._pending.arrays, **self._finishing.state()}
            self._writer.submit(replace(self._pending, arrays=arrays))
            self._pending = None

    def outcomes(self) -> list[Outcome]:
        """Return what became of snapshots since the last call."""
        return self._writer.outcomes()

    def finish(self, round_: int, times: RunTimes, now: float) -> list[Outcome]:
        """Write the last state and return what became of everything that was still due."""
        if round_ > self._newest:
            self._take(round_, times, now)
        self.reported(round_)
        self._writer.close()
        return self._writer.outcomes()

    def _take(self, round_: int, times: RunTimes, now: float) -> None:
        self._taken_at = now
        self._newest = round_
        plan = self._machine.plan
        digest = {"store/digest": np.array(plan.digest)}
        arrays = self._descent.state() | self._machine.state() | digest
        self._pending = Snapshot(round_, plan.run, times, arrays)


def make_keeper(
    machine: Master, descent: Descent, finishing: Finishing, resumed_round: int, now: float
) -> CheckpointKeeper | None:
    """Return what takes the checkpoints of a run that has a directory.

    Parameters
    ----------
    resumed_round: the round that the run goes on from.
    now: the clock's reading.
    """
    settings = machine.plan.settings
    if settings.run.out is None:
        return None
    directory = CheckpointDirectory(settings.run.out / DIRECTORY, settings.checkpoint.keep)
    try:
        directory.forget_beyond(resumed_round)
    except OSError as error:
        log.warning(
            "cannot remove old checkpoints from %s (%s), and new ones may be pruned in their place;"
            " remove those beyond round %d",
            directory.path,
            reason_of(error),
            resumed_round,
        )
    writer = CheckpointWriter(directory)
    return CheckpointKeeper(settings.checkpoint, writer, descent, machine, finishing, now)
