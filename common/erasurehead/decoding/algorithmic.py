"""Algorithmic decoding: a few gradient steps towards least squares."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import DecoderContext
from erasurehead.decoding.holding import HoldingDecoder
from erasurehead.errors import UsageError

DENSE_ENTRIES = 1 << 16
"""Up to this size dense products are quicker than sparse ones."""


class AlgorithmicDecoder(HoldingDecoder):
    """u_0 = 1, u_{t+1} = u_t - A_R^T A_R u_t / nu, alpha = 1 - u_T, nu >= ||A_R||^2.

    arXiv 1711.06771, Section 3.3. ||u_t||^2 falls from n to the least-squares error; `steps` = 1 is
    one-step decoding with a cautious weight. O(steps * entries) a round, without a linear solve.

    Parameters
    ----------
    code: any.
    context: not used.
    steps: T, at least 1.

    Raises
    ------
    UsageError: `steps` is below 1.
    """

    def __init__(self, code: GradientCode, context: DecoderContext, *, steps: int = 20) -> None:
        if steps < 1:
            raise UsageError(f"steps={steps} of decoder 'algorithmic' must be 1 or more")
        self.steps = steps
        super().__init__(code)

    def weights(self, arrived: list[int]) -> FloatArray:
        """Return the weights after `steps` steps."""
        rows = self.code.matrix[arrived]
        # ||A||_1 ||A||_inf is at least ||A||^2, and costs one pass.
        magnitudes = abs(rows)
        bound = float(magnitudes.sum(axis=0).max()) * float(magnitudes.sum(axis=1).max())
        if rows.shape[0] * rows.shape[1] <= DENSE_ENTRIES:
            rows = rows.toarray()
        weights = np.zeros(len(arrived))
        rest = np.ones(self.code.n_tasks)
        for _ in range(self.steps):
            weights += (rows @ rest) / bound
            rest = 1.0 - rows.T @ weights
        return weights
