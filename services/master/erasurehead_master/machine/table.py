"""The phases of a run, and rows of the table of what is done in which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar


class Phase(Enum):
    """Where the run is."""

    GATHERING = "gathering"
    TRAINING = "training"
    FINISHED = "finished"


Handler = TypeVar("Handler")


@dataclass(frozen=True, slots=True)
class Row(Generic[Handler]):
    """What is done about one kind of thing, by phase. In a run that has finished, nothing is."""

    gathering: Handler
    training: Handler

    def handler(self, phase: Phase) -> Handler:
        """Return what is done in this phase."""
        return self.training if phase is Phase.TRAINING else self.gathering


def always(handler: Handler) -> Row[Handler]:
    """Return the row of what is done in every phase."""
    return Row(handler, handler)
