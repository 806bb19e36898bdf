"""What can happen to the worker's state machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.wire.messages import ToWorker


@dataclass(frozen=True, slots=True)
class Received:
    """The master said something."""

    message: ToWorker


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rows are in memory; `support` is None when they are dense."""

    rows: int
    support: npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class StoreUnreadable:
    """This machine cannot read the store itself; the master must send the rows."""

    why: str


@dataclass(frozen=True, slots=True)
class PartDone:
    """One part of the coded gradient is computed."""

    round: int
    part: int
    last: bool
    values: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]
    compute_s: float


@dataclass(frozen=True, slots=True)
class Woke:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """This process was asked to end.

    `at_once`: without the result of the round at hand.
    """

    reason: str
    at_once: bool = False


Event = Received | Loaded | StoreUnreadable | PartDone | Woke | Shutdown
