"""Tweedie regression: amounts of which many are 0, by the log of their mean."""

from __future__ import annotations

from erasurehead.arrays import FloatArray
from erasurehead.models.log_link import LogLinkModel


class Tweedie(LogLinkModel):
    """Half the deviance of labels of at least 0 whose variance is a power of their mean.

    Powers between 1 and 2 are of sums of sizes, as many as a count says: what an insurance pays.

    Parameters
    ----------
    n_columns, labels, intercept: as `LinearModel`.
    power: 1 is `poisson`, 2 is `gamma`.

    Raises
    ------
    UsageError: the power is not from 1 to 2.
    """

    name = "tweedie"

    def __init__(
        self,
        n_columns: int,
        labels: FloatArray | None = None,
        *,
        power: float,
        intercept: bool = False,
    ) -> None:
        options = {"power": repr(power)}
        super().__init__(n_columns, labels, power=power, intercept=intercept, options=options)
