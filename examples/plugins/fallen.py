"""A condition: the loss has fallen to a share of the first one."""

from __future__ import annotations

from erasurehead.finishing import CONDITIONS
from erasurehead.finishing.base import Condition
from erasurehead.finishing.course import Course


class Fallen(Condition):
    """The mean of the last losses is at most `to` times the first."""

    def __init__(self, *, to: float) -> None:
        self._to = to

    def met(self, course: Course) -> str | None:
        """Return why the run is done, or None."""
        mean = sum(course.losses) / len(course.losses)
        return f"the loss is {mean:.4g}" if mean <= self._to * course.first_loss else None


CONDITIONS.register("fallen", Fallen)
