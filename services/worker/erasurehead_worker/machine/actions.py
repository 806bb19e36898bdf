"""What the worker's state machine may ask its shell to do."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.arrays import Vector
from erasurehead.models.base import Model
from erasurehead.records import Level
from erasurehead.wire.messages import Assign, Task, ToMaster


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the master."""

    message: ToMaster


@dataclass(frozen=True, slots=True)
class Load:
    """Start to read the rows of this assignment for a model; answer with `Loaded` or
    `StoreUnreadable`.
    """

    assign: Assign
    model: Model


@dataclass(frozen=True, slots=True)
class Feed:
    """Take one streamed chunk of rows; `last` completes them: answer with `Loaded`."""

    task: Task
    last: bool


@dataclass(frozen=True, slots=True)
class Compute:
    """Drop any older work and compute the coded gradient at this model."""

    round: int
    theta: Vector
    """The model's parameters on the support of the rows."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Drop the work at hand; the master no longer waits for it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Write to the log."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """End the process."""

    code: int
    reason: str


Action = Send | Load | Feed | Compute | Abandon | Notice | Exit
