"""Done when a test metric is good enough, or has not become better for long."""

from __future__ import annotations

import math

from erasurehead.errors import UsageError
from erasurehead.finishing.base import Condition
from erasurehead.finishing.course import Course


class MetricReached(Condition):
    """A metric of the test rows has reached a value; or there was no better value for so many
    rounds, and the run's model is then the best one.

    Parameters
    ----------
    goal: the metric, ``auc``, or with the value to reach, ``auc=0.7``.
    patience: rounds without a better value after which the run is done. The best model is kept,
        however the run ends.

    Raises
    ------
    UsageError: the value is no number, or neither value nor patience is given.
    """

    def __init__(self, *, goal: str, patience: int | None = None) -> None:
        self.name, equals, text = (part.strip() for part in goal.partition("="))
        self.patience = patience
        try:
            self.level = float(text) if equals else None
        except ValueError:
            self.level = math.nan
        if not self.name or (self.level is not None and not math.isfinite(self.level)):
            raise UsageError(
                f"condition 'metric:{goal}' is not of the form metric:NAME=VALUE; write for example"
                " metric:auc=0.7"
            )
        if self.level is None and patience is None:
            raise UsageError(
                f"condition 'metric:{goal}' does not say when the metric is good enough; write for"
                f" example metric:{goal}=0.7 or metric:{goal},patience=20"
            )
        if patience is not None and patience < 1:
            raise UsageError(f"patience={patience} of 'metric:{goal}' must be at least 1 round")

    @property
    def metric(self) -> str:
        """The metric."""
        return self.name

    @property
    def keeps_best(self) -> bool:
        """With patience."""
        return self.patience is not None

    def met(self, course: Course) -> str | None:
        """Return what was reached, or for how long nothing better has come."""
        best = course.best.get(self.name)
        if best is None:
            return None
        if self.level is not None:
            value = course.metrics.get(self.name, math.nan)
            rises = course.rises(self.name)
            if value >= self.level if rises else value <= self.level:
                return f"{self.name} is {value:.6g}"
        waited = course.evaluated_round - best.round
        if self.patience is None or waited < self.patience:
            return None
        return f"{self.name} was {best.value:.6g} after round {best.round} and not better since"
