"""No injected delay."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.straggling.base import DelayModel


class NoDelay(DelayModel):
    """Every delay is 0; nothing is drawn."""

    delays_no_one = True

    def __init__(self, n_workers: int, seed: int) -> None:
        super().__init__(n_workers, seed)
        self._zeros = np.zeros(n_workers)
        self._zeros.flags.writeable = False

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return zeros, the same read-only array each time."""
        return self._zeros

    def delay_s(self, round_: int, slot: int, load_share: float) -> float:
        """Return 0."""
        return 0.0
