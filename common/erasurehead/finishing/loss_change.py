"""Done when the loss hardly changes."""

from __future__ import annotations

from statistics import median

from erasurehead.finishing.base import Condition, check_share
from erasurehead.finishing.course import LOOK_BACK, Course


class LossChangeBelow(Condition):
    """From one ten rounds to the next, the median loss changed by little of itself a round.

    The median, because one step that overshoots lifts a mean, however fast the loss falls. A loss
    that rises is not at rest. A slow method meets this far from the minimum.

    Parameters
    ----------
    below: the share of the loss by which it changes a round, above 0 and below 1.

    Raises
    ------
    UsageError: it is not.
    """

    def __init__(self, *, below: float) -> None:
        check_share("loss-change", below)
        self.below = below

    def met(self, course: Course) -> str | None:
        """Return by how little the loss changes, if it is little."""
        losses = list(course.losses)
        if len(losses) < 2 * LOOK_BACK:
            return None
        before, now = median(losses[:LOOK_BACK]), median(losses[LOOK_BACK:])
        if not abs(before - now) / LOOK_BACK <= self.below * abs(now):
            return None
        return (
            f"over {2 * LOOK_BACK} rounds the loss changed by at most {self.below:g} of itself a"
            " round"
        )
