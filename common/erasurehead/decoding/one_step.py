"""One-step decoding: the same weight for every arrival."""

from __future__ import annotations

from typing import Literal

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR, Decoder, DecoderContext, Decoding, summarize
from erasurehead.errors import UsageError

EVEN = 1e-9
"""Columns whose sums differ by less of themselves add up to the same."""


class OneStepDecoder(Decoder):
    """Streams the sum of all arrivals and scales it at the end.

    * ``mean``: the weight that makes the task weights average 1 over all arrival sets of this size,
      n M / (r sum A) for r of M symbols: k/(r c) for load c and n = k (arXiv 1711.06771, Section
      3), k/r when columns add up to 1 (arXiv 1707.03858, Section 5).
    * ``optimal``: the best single weight for the set that arrived,
      sum_j v_j / ||v||^2 with v = A_R^T 1; l/(l + lambda (r-1)) for block designs (1904.13373).

    Parameters
    ----------
    code: with non-negative coefficients and one vector a result.
    context: not used.

    Raises
    ------
    UsageError: a code whose symbols cannot simply be added up.
    """

    rarely_exact = True
    may_leave_tasks_out = False

    def __init__(
        self,
        code: GradientCode,
        context: DecoderContext,
        *,
        scale: Literal["mean", "optimal"] = "mean",
    ) -> None:
        if code.n_vectors > 1 or code.matrix.data.min(initial=0.0) < 0:
            raise UsageError(
                f"decoder 'one-step' adds results up, which code '{code.name}' with its negative or"
                " complex coefficients does not allow; use least-squares"
            )
        super().__init__(code)
        self.scale = scale
        self.no_worse_than_one_step = scale
        self._share = code.n_tasks * code.n_symbols / float(code.matrix.sum())
        # By a weight that depends on how many arrive alone, a task counts for its column's sum.
        sums = np.asarray(code.matrix.sum(axis=0))
        self.unbiased = scale == "mean" and float(np.ptp(sums)) <= EVEN * float(sums.mean())
        self.begin()

    def begin(self) -> None:
        """Start a round with no arrivals."""
        self._arrived: list[int] = []
        self._n_followed = 0
        self._sums = np.zeros(self.code.n_tasks)
        self._total = 0.0
        self._square = 0.0

    def arrive(self, symbol: int) -> float | None:
        """Take one symbol, to be added at once."""
        self._arrived.append(symbol)
        return 1.0

    @property
    def exact(self) -> bool:
        """True when the arrivals so far decode to alpha = 1 (to rounding)."""
        return self.error() <= EXACT_ERROR

    def error(self) -> float:
        """Return ||alpha - 1||^2 / n from running sums."""
        scale, n = self._scale(), self.code.n_tasks
        return max(0.0, scale * (scale * self._square - 2.0 * self._total) / n + 1.0)

    def finish(self) -> Decoding:
        """Close the round and return its weights."""
        scale = self._scale()
        weights = np.zeros(self.code.n_symbols)
        weights[self._arrived] = scale
        return summarize(self.code, weights, scale, {})

    def _scale(self) -> float:
        if not self._arrived:
            return 1.0
        self._follow()
        if self.scale == "mean":
            return self._share / len(self._arrived)
        return self._total / self._square

    def _follow(self) -> None:
        """Bring v = A_R^T 1, its sum and its square up to date."""
        for symbol in self._arrived[self._n_followed :]:
            tasks, coefficients = self.code.row(symbol)
            self._total += float(coefficients.sum())
            self._square += float(coefficients @ (coefficients + 2.0 * self._sums[tasks]))
            self._sums[tasks] += coefficients
        self._n_followed = len(self._arrived)
