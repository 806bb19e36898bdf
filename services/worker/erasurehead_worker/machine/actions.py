"""What the worker's state machine may ask its shell to do."""

from __future__ import annotations

from msgspec import Struct

from erasurehead.arrays import Vector
from erasurehead.models.base import Model
from erasurehead.records import Level
from erasurehead.wire.messages import Assign, Task, ToMaster


class Send(Struct, frozen=True):
    """Send a message to the master."""

    message: ToMaster


class Load(Struct, frozen=True):
    """Start to read the rows of this assignment for a model; answer with `Loaded` or
    `StoreUnreadable`.
    """

    assign: Assign
    model: Model


class Feed(Struct, frozen=True):
    """Take one streamed chunk of rows; `last` completes them: answer with `Loaded`."""

    task: Task
    last: bool


class Compute(Struct, frozen=True):
    """Compute one part of the coded gradient at this model; answer with `PartDone`."""

    round: int
    part: int
    theta: Vector
    """The model's parameters on the support of the rows."""


class Abandon(Struct, frozen=True):
    """Drop the work at hand; the master no longer waits for it."""


class Notice(Struct, frozen=True):
    """Write to the log."""

    level: Level
    text: str


class Exit(Struct, frozen=True):
    """End the process.

    Attributes
    ----------
    asked: somebody wanted this process to end, whatever becomes of the run.
    """

    code: int
    reason: str
    asked: bool = False


Action = Send | Load | Feed | Compute | Abandon | Notice | Exit
