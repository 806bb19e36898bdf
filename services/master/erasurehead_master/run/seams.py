"""What the conductor needs of its surroundings: two shells and a directory fit in here.

A shell hands in a post (sockets, or messages under a virtual clock); a run with a directory also a
keeper of checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from erasurehead.arrays import FloatArray
from erasurehead.wire.messages import Task, ToWorker
from erasurehead_master.machine.actions import SendTask
from erasurehead_master.run.ledger import RunTimes

Parcel = TypeVar("Parcel")
"""A message in the form in which a post sends it."""

Clock = Callable[[], float]
"""Seconds from some fixed moment on."""

Rating = Callable[[FloatArray], Iterator[dict[str, float] | None]]
"""From a model to its metrics, in pieces of work: None after each but the last.

The model must not change meanwhile.
"""

RowReader = Callable[[SendTask], Task]
"""Reads the chunk of rows that a worker is to be sent."""

Outcome = tuple[int, str | None]
"""A round, and why its checkpoint could not be written; None: it was."""


class Usage(NamedTuple):
    """What the process has used so far."""

    peak_memory_bytes: int = 0
    cpu_s: float = 0.0


class Post(Protocol[Parcel]):
    """How messages reach workers."""

    def wrap(self, message: ToWorker) -> Parcel:
        """Return a message in the form in which it is sent, to one peer or to many."""

    def send(self, peer: bytes, parcel: Parcel) -> bool:
        """Send a message without waiting; False if the peer is gone or does not read."""

    def refused(self, peer: bytes) -> None:
        """Note that a message of this peer was refused: one that sends many is not listened to."""

    def traffic(self) -> tuple[int, int]:
        """Return the bytes sent and received since the last call."""


class Keeper(Protocol):
    """Takes checkpoints between rounds and writes them while the run goes on."""

    def closed(self, round_: int, times: RunTimes, now: float) -> None:
        """A round was stepped; take a snapshot if one is due."""

    def reported(self, round_: int) -> None:
        """Everything up to this round is recorded, and its snapshot may be written."""

    def outcomes(self) -> Sequence[Outcome]:
        """Return what became of snapshots since the last call."""

    def finish(self, round_: int, times: RunTimes, now: float) -> Sequence[Outcome]:
        """Write the last state; return what became of everything that was still due."""
