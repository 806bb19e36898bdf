"""A gradient estimate: the mean of this round's sum and what was estimated before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.weighted_sum import WeightedSum


class SmoothedSum(WeightedSum):
    """g_hat_t = keep g_hat_(t-1) + (1 - keep) sum_t; the first round is taken as it is."""

    def __init__(
        self, code: GradientCode, n_parameters: int, ordered: bool = False, *, keep: float = 0.5
    ) -> None:
        super().__init__(code, n_parameters, ordered)
        self._keep = keep
        self._mean: FloatArray | None = None

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the smoothed sum of gradients and this round's sum of losses."""
        total, loss = super().finish(decoding)
        if self._mean is None:
            self._mean = total.copy()
        else:
            self._mean += (1 - self._keep) * (total - self._mean)
        total[:] = self._mean
        return total, loss

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the mean so far, once there is one."""
        return {} if self._mean is None else {"mean": self._mean}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from the mean of a checkpoint."""
        self._mean = np.array(state["mean"]) if "mean" in state else None


ESTIMATES.register("smoothed", SmoothedSum)
