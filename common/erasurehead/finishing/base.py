"""What a condition is: it looks at the course of a run and says whether that is enough."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from erasurehead.errors import UsageError
from erasurehead.finishing.course import Course


class Condition(ABC):
    """Says when a run is done. All that it needs to know is in the course, so it has no state."""

    needs_slope: ClassVar[bool] = False
    """Whether the course must know the norm of the objective's gradient, which costs a pass."""

    shows_convergence: ClassVar[bool] = False
    """Whether a run that meets it is near the minimum, whatever is known of the gap."""

    @property
    def metric(self) -> str | None:
        """The test metric that is looked at, if there is one."""
        return None

    @property
    def gap(self) -> float:
        """The gap at which the run is done; NaN: the condition does not look at it."""
        return math.nan

    @property
    def keeps_best(self) -> bool:
        """Whether the run's model is the best one by the metric, and not the last one."""
        return False

    @abstractmethod
    def met(self, course: Course) -> str | None:
        """Return why the run is done, as half a sentence; None: it goes on."""


def check_share(name: str, value: float) -> None:
    """Refuse a share that is not between 0 and 1.

    Raises
    ------
    UsageError: it is not.
    """
    if not 0 < value < 1:
        raise UsageError(
            f"condition '{name}:{value:g}' is never met, or always: the share must be above 0 and"
            f" below 1; write for example {name}:0.001"
        )
