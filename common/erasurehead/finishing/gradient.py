"""Done when the gradient is small."""

from __future__ import annotations

from typing import ClassVar

from erasurehead.finishing.base import Condition, check_share
from erasurehead.finishing.course import Course


class GradientBelow(Condition):
    """The norm of the objective's gradient, penalty included, is small beside the first round's.

    The gradient is the estimate that the method steps by: without a cache an approximate scheme
    never has a small one.

    Parameters
    ----------
    below: the share of the first round's norm, above 0 and below 1.

    Raises
    ------
    UsageError: it is not.
    """

    needs_slope: ClassVar[bool] = True
    shows_convergence: ClassVar[bool] = True

    def __init__(self, *, below: float) -> None:
        check_share("gradient", below)
        self.below = below

    def met(self, course: Course) -> str | None:
        """Return how small the norm is, if it is small."""
        if not course.slope <= self.below * course.first_slope:
            return None
        return f"the gradient's norm is at most {self.below:g} of the first round's"
