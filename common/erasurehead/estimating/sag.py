"""SAG: the sum of what is remembered, after what arrived has been renewed."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.estimating.saga import NEVER, SagaEstimate


class SagEstimate(SagaEstimate):
    """g_hat = c sum_u h_u after h_u <- y_u for what arrived: biased, no weights, stable.

    Until every unit was seen once, the sum is scaled up by units over units seen.
    """

    uses_weights = False

    def _estimate(
        self, gradient: FloatArray, total: FloatArray, renewed: FloatArray, step: float
    ) -> None:
        """Fill a part of the estimate from the new sum alone."""
        n_seen = sum(u.round != NEVER or i in self._fresh for i, u in enumerate(self._units))
        np.multiply(renewed, self._n_active / n_seen if n_seen else 1.0, out=gradient)
