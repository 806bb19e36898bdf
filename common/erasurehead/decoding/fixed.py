"""Fixed weights: each arrival counts by how rarely its slot arrives."""

from __future__ import annotations

from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.coding.options import checked_probabilities, numbers
from erasurehead.decoding.base import Decoder, DecoderContext, Decoding, summarize
from erasurehead.errors import UsageError

UNEVEN = 1e-9


def column_sum(code: GradientCode) -> float:
    """Return what every column of the matrix adds up to.

    Raises
    ------
    UsageError: the columns do not all add up to the same positive number.
    """
    sums = np.asarray(code.matrix.sum(axis=0)).ravel()
    mean = float(sums.mean())
    if code.n_vectors > 1 or not mean > 0 or np.abs(sums - mean).max() > UNEVEN * mean:
        raise UsageError(
            "decoder 'fixed' needs a code whose symbols together count every task equally, and"
            f" code '{code.name}' does not; use frc, pairwise-balanced, regular, osgc or another"
            " code with equal column sums"
        )
    return mean


class FixedDecoder(Decoder):
    """Streams sum_i w_i y_i with w_i = 1/((1-p_i) u), u the column sum of the code.

    Unbiased for any code with equal column sums: E[alpha] = 1. When slots straggle independently
    the error is sum_i p_i/(1-p_i) ||v_i||^2, v_i the expected contribution of slot i (arXiv
    2510.22539, Section 3; arXiv 1905.05383, Section III).

    Parameters
    ----------
    code: with equal column sums.
    context: `probabilities`, unless `p` is given.
    p: straggler probabilities, ``0.3`` or ``0.1/0.2/...``, instead of the learnt ones.
    cap: slots that straggle more often are weighted as if they straggled this often.
    shrink: `mse` multiplies by 1/(1 + V), V = sum_i p_i/(1-p_i) (row sum_i)^2 / n^2: the least mean
        squared error for equal task gradients, at the price of a bias (arXiv 2510.22539: Delta /
        (1 + Delta), its second track for Adam).

    Raises
    ------
    UsageError: another code, no probabilities, or one outside (0, 1).
    """

    exact_needs_all = True
    rarely_exact = True
    unbiased = True
    may_leave_tasks_out = False

    def __init__(
        self,
        code: GradientCode,
        context: DecoderContext,
        *,
        p: str | None = None,
        cap: float = 0.95,
        shrink: Literal["none", "mse"] = "none",
    ) -> None:
        super().__init__(code)
        if not 0 < cap < 1:
            raise UsageError(f"cap={cap:g} of decoder 'fixed' must be between 0 and 1")
        self._unit = 1.0 / column_sum(code)
        self._row_sums = self._unit * np.asarray(code.matrix.sum(axis=1)).ravel()
        self._slots = np.arange(code.n_symbols) // code.symbols_per_slot
        self._cap = cap
        self.shrink = shrink
        self._probabilities = context.probabilities
        self.uses_probabilities = p is None
        self.given: FloatArray | None = None
        """The straggler probabilities of option p."""
        if p is not None:
            given = checked_probabilities(numbers(p, code.n_workers, "p"), code.n_workers)
            self.given = given
            self._probabilities = lambda: given
        elif self._probabilities is None:
            raise UsageError(
                "decoder 'fixed' needs the workers' straggler probabilities, which are not known"
                " here; give them as fixed:p=0.3"
            )
        self.begin()

    def begin(self) -> None:
        """Start a round with no arrivals."""
        assert self._probabilities is not None
        self._weight: list[float] = self.weights(self._probabilities()).tolist()
        self._arrived: list[int] = []
        self._n_followed = 0
        self._alpha = np.zeros(self.code.n_tasks)

    def weights(self, probabilities: FloatArray) -> FloatArray:
        """Return the weight of each symbol for straggler probabilities of shape (k,)."""
        p = np.minimum(probabilities, self._cap)[self._slots]
        factor = self._unit
        if self.shrink == "mse":
            spread = float(np.sum(p / (1.0 - p) * self._row_sums**2)) / self.code.n_tasks**2
            factor /= 1.0 + spread
        return np.asarray(factor / (1.0 - p))

    def arrive(self, symbol: int) -> float | None:
        """Take one symbol with its weight."""
        self._arrived.append(symbol)
        return self._weight[symbol]

    @property
    def exact(self) -> bool:
        """True when everything arrived: no smaller set holds all that the weights count on."""
        return len(self._arrived) == self.code.n_symbols

    def error(self) -> float:
        """Return the decode error ||alpha - 1||^2 / n if the round closed now."""
        for symbol in self._arrived[self._n_followed :]:
            tasks, coefficients = self.code.row(symbol)
            self._alpha[tasks] += self._weight[symbol] * coefficients
        self._n_followed = len(self._arrived)
        return float(np.sum((self._alpha - 1.0) ** 2)) / self.code.n_tasks

    def finish(self) -> Decoding:
        """Close the round and return its weights."""
        weights = np.zeros(self.code.n_symbols)
        weights[self._arrived] = [self._weight[s] for s in self._arrived]
        return summarize(self.code, weights, 1.0, {})
