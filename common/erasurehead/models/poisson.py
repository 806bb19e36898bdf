"""Poisson regression: counts by the log of their mean."""

from __future__ import annotations

from erasurehead.arrays import FloatArray
from erasurehead.models.log_link import LogLinkModel


class Poisson(LogLinkModel):
    """exp(margin) - label * margin for labels of at least 0.

    The log of an exposure goes in as the offset of a row.
    """

    name = "poisson"

    def __init__(
        self, n_columns: int, labels: FloatArray | None = None, *, intercept: bool = False
    ) -> None:
        super().__init__(n_columns, labels, power=1.0, intercept=intercept)
