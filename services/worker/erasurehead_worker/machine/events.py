"""What can happen to the worker's state machine."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from msgspec import Struct

from erasurehead.arrays import FloatArray
from erasurehead.wire.messages import ToWorker


class Received(Struct, frozen=True):
    """The master said something."""

    message: ToWorker


class Loaded(Struct, frozen=True):
    """The rows are in memory; `support` is None when they are dense."""

    rows: int
    support: npt.NDArray[Any] | None


class StoreUnreadable(Struct, frozen=True):
    """This machine cannot read the store itself; the master must send the rows."""

    why: str


class PartDone(Struct, frozen=True):
    """One part of the coded gradient is computed."""

    round: int
    part: int
    values: list[FloatArray]
    """The vectors of this part, each with a value for each parameter of the support."""
    loss: list[float]
    """One of each vector."""
    compute_s: float


class Woke(Struct, frozen=True):
    """Time has passed."""


class Shutdown(Struct, frozen=True):
    """This process was asked to end.

    `at_once`: without the result of the round at hand.
    """

    reason: str
    at_once: bool = False


Event = Received | Loaded | StoreUnreadable | PartDone | Woke | Shutdown
