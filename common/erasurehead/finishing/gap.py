"""Done when little is left of the way to the minimum."""

from __future__ import annotations

from erasurehead.finishing.base import Condition, check_share
from erasurehead.finishing.course import LOOK_BACK, Course


class GapBelow(Condition):
    """The estimated gap was small for ten rounds in a row.

    The gap is (f - f*) / (f(start) - f*) of the objective f. For a method without an image of the
    curvature it is unknown, and the condition is never met.

    Parameters
    ----------
    below: the gap, above 0 and below 1.

    Raises
    ------
    UsageError: it is not.
    """

    def __init__(self, *, below: float) -> None:
        check_share("gap", below)
        self.below = below

    @property
    def gap(self) -> float:
        """The bound."""
        return self.below

    def met(self, course: Course) -> str | None:
        """Return how little is left, if it is little."""
        if not course.largest_recent_gap <= self.below:
            return None
        return (
            f"the gap to the minimum was at most {self.below:g} of the way for {LOOK_BACK} rounds"
        )
