"""Done when the loss hardly changes."""

from __future__ import annotations

from erasurehead.finishing.base import Condition, check_share
from erasurehead.finishing.course import LOOK_BACK, Course


class LossChangeBelow(Condition):
    """From one ten rounds to the next, the mean loss fell by little of itself a round, or rose.

    A slow method meets this far from the minimum.

    Parameters
    ----------
    below: the share of the loss by which it falls a round, above 0 and below 1.

    Raises
    ------
    UsageError: it is not.
    """

    def __init__(self, *, below: float) -> None:
        check_share("loss-change", below)
        self.below = below

    def met(self, course: Course) -> str | None:
        """Return by how little the loss falls, if it is little."""
        losses = list(course.losses)
        if len(losses) < 2 * LOOK_BACK:
            return None
        level = abs(sum(losses[LOOK_BACK:])) / LOOK_BACK
        if not course.fall <= self.below * level:
            return None
        return (
            f"over {2 * LOOK_BACK} rounds the loss fell by at most {self.below:g} of itself a round"
        )
