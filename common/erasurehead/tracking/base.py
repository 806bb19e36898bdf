"""What a tracker is told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from erasurehead.errors import UsageError

Ending = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Tracked:
    """A run as trackers know it.

    Attributes
    ----------
    name: for people.
    directory: of the run; None: it has none.
    settings: all of them, as texts by their keys (``coding.scheme``).
    """

    name: str
    directory: str | None
    settings: Mapping[str, str] = field(default_factory=dict)


class Tracker(Protocol):
    """Keeps numbers of a run where a user wants them.

    A factory of the registry takes a `Tracked` and, as keyword-only parameters, the options that a
    user may write; it raises UsageError where its library is missing. All methods are called on one
    thread, in order, and may raise whatever their library raises: the run goes on without them.
    """

    name: ClassVar[str]

    def begin(self, facts: Mapping[str, str]) -> None:
        """The first round opens; `facts` are what is known then besides the settings."""

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        """Numbers of a round that closed so many seconds after the run began, all finite."""

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        """The run is over; nothing else follows. `values` are those of the model that it leaves."""


def missing(name: str, library: str) -> UsageError:
    """Return the error of a tracker whose library is not installed."""
    return UsageError(
        f"tracking with {name} needs {library}, which is not installed; install"
        f" 'erasurehead[{name}]', or leave --track {name} out"
    )
