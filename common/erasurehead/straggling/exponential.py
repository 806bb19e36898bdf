"""Exponential delays, the artificial stragglers of ErasureHead's experiments."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.options import positive


class ExponentialDelay(DelayModel):
    """Independent Exp delays, whatever a slot's load.

    Exactly one of the options is given. The paper (arXiv 1901.09671, section 5) writes rate 1/2,
    a mean of 2 s; its published code draws with a mean of 0.5 s. Both can be said by name.

    Parameters
    ----------
    mean_s: mean delay in seconds.
    rate: 1 / mean_s, per second.

    Raises
    ------
    UsageError: neither option is given, or both, or one that is not positive.
    """

    def __init__(
        self,
        n_workers: int,
        seed: int,
        *,
        mean_s: float | None = None,
        rate: float | None = None,
    ) -> None:
        super().__init__(n_workers, seed)
        if mean_s is not None and rate is None:
            self.mean_s = positive("exponential", "mean_s", mean_s)
        elif rate is not None and mean_s is None:
            self.mean_s = 1.0 / positive("exponential", "rate", rate)
        else:
            given = "neither was" if rate is None else "both were"
            raise UsageError(
                f"delay model 'exponential' needs one of mean_s and rate, but {given} given;"
                " write for example exponential:mean_s=0.5"
            )

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return mean_s * Exp(1) of every slot."""
        return self.mean_s * self.exponentials(round_)

    def late_probabilities(
        self, deadline_s: float | FloatArray, load_share: float | FloatArray
    ) -> FloatArray:
        """Return exp(-deadline / mean) for every slot."""
        late = np.exp(-np.maximum(0.0, deadline_s) / self.mean_s)
        return np.broadcast_to(late, (self.n_workers,))
