"""Done when the time is over."""

from __future__ import annotations

import math

from erasurehead.errors import UsageError
from erasurehead.finishing.base import Condition
from erasurehead.finishing.course import Course

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class TimeOver(Condition):
    """The first round has closed after so much time, interruptions of the run left out.

    Parameters
    ----------
    after: seconds, or a number with a unit: ``90``, ``60s``, ``5min``, ``2h``.

    Raises
    ------
    UsageError: it is no time above 0.
    """

    def __init__(self, *, after: str) -> None:
        number = after.strip().rstrip("".join(UNITS_S))
        unit = after.strip().removeprefix(number)
        try:
            self.after_s = float(number) * UNITS_S[unit]
        except (ValueError, KeyError):
            self.after_s = math.nan
        if not (math.isfinite(self.after_s) and self.after_s > 0):
            raise UsageError(
                f"condition 'time:{after}' is no time; write for example time:60s, time:5min or"
                " time:2h"
            )

    def met(self, course: Course) -> str | None:
        """Return how long the run took, if it was long enough."""
        return None if course.seconds < self.after_s else f"{course.seconds:.4g} s are over"
