"""Gamma regression: sizes, whose spread grows with them, by the log of their mean."""

from __future__ import annotations

from erasurehead.arrays import FloatArray
from erasurehead.models.log_link import LogLinkModel


class Gamma(LogLinkModel):
    """margin + label * exp(-margin) for labels above 0."""

    name = "gamma"

    def __init__(
        self, n_columns: int, labels: FloatArray | None = None, *, intercept: bool = False
    ) -> None:
        super().__init__(n_columns, labels, power=2.0, intercept=intercept)
