"""Heavy-tailed delays."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import MOST, positive


class ParetoDelay(DelayModel):
    """P(T > t) = (scale / t)^shape for t >= scale; the mean is infinite for shape <= 1.

    Parameters
    ----------
    shape: tail index, above 0; small is heavy.
    scale_s: the least delay, in seconds.
    by_load: multiply by the slot's share of all tasks, as for a compute time; scale_s is then that
        of the whole job.
    """

    def __init__(
        self, n_workers: int, seed: int, *, shape: float, scale_s: float, by_load: bool = False
    ) -> None:
        super().__init__(n_workers, seed)
        self.shape = positive("pareto", "shape", shape)
        self.scale_s = positive("pareto", "scale_s", scale_s)
        self.by_load = by_load

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return scale_s * U^(-1/shape) of every slot, as scale_s * exp(Exp(1) / shape).

        No delay is longer than `MOST` seconds: a clock cannot wait for one beyond all floats.
        """
        delays = self.exponentials(round_)
        delays /= self.shape
        with np.errstate(over="ignore"):
            np.exp(delays, out=delays)
            delays *= self.scale_s * load_share if self.by_load else self.scale_s
        return np.minimum(delays, MOST, out=delays)

    def late_probabilities(
        self, deadline_s: float | FloatArray, load_share: float | FloatArray
    ) -> FloatArray:
        """Return min(1, (scale / deadline)^shape) for every slot."""
        scale_s = np.asarray(self.scale_s * load_share if self.by_load else self.scale_s)
        late = (scale_s / np.maximum(deadline_s, scale_s)) ** self.shape
        return np.broadcast_to(late, (self.n_workers,))
