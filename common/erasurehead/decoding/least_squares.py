"""Least squares: the weights that bring the realised task weights nearest to 1."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR, DecoderContext, Decoding
from erasurehead.decoding.holding import HoldingDecoder
from erasurehead.errors import UsageError

DEPENDENT = 1e-10
"""A row is a combination of others when less than this share of it is new to their span."""

EARLY_AMPLIFICATION = 1e6
"""Beyond what the code promises to tolerate, decoding that magnifies rounding more is no gain."""


class LeastSquaresDecoder(HoldingDecoder):
    """w(R) = argmin_w ||A_R^T w - 1||^2, the solution of least norm.

    Exact whenever exact decoding is possible (arXiv 1612.03301, Section 2); otherwise the optimal
    decoding of arXiv 1711.06771 and 2006.09638, biased towards 0 on tasks that few survivors hold.
    The residual is followed arrival by arrival through an orthogonal basis, O(n |R|) each; the
    weights are solved for once a round, O(n |R|^2), and remembered by arrival set.

    Parameters
    ----------
    code: any.
    context: not used.
    cache: arrival sets whose weights are remembered, least recently used dropped first.

    Raises
    ------
    UsageError: `cache` is below 0.
    """

    exact_when_decodable = True
    no_worse_than_one_step = "optimal"
    instead_of_exact = "a larger load, another seed or another stop rule"
    """There is no better combination of what arrived."""

    def __init__(self, code: GradientCode, context: DecoderContext, *, cache: int = 1024) -> None:
        if cache < 0:
            raise UsageError(f"cache={cache} arrival sets cannot be remembered; use 0 or more")
        self._cache_size = cache
        self._cache: OrderedDict[int, Decoding] = OrderedDict()
        super().__init__(code)

    def begin(self) -> None:
        """Start a round with no arrivals."""
        super().begin()
        self._mask = 0
        self._basis = np.empty((8, self.code.n_tasks))
        self._rank = 0
        self._residual = np.ones(self.code.n_tasks)
        self._n_followed = 0

    def arrive(self, symbol: int) -> float | None:
        """Take one symbol; its weight is known at the end."""
        self._mask |= 1 << symbol
        return super().arrive(symbol)

    @property
    def exact(self) -> bool:
        """True when the arrivals so far span 1, and well enough to be worth it."""
        if self._n_uncovered:
            return False
        known = self._cache.get(self._mask)
        error = self.error() if known is None else known.decode_error
        if error > EXACT_ERROR:
            return False
        missing = self.code.n_workers - len(self.arrived) // self.code.symbols_per_slot
        return missing <= self.code.tolerance or self.finish().amplification <= EARLY_AMPLIFICATION

    def error(self) -> float:
        """Return the least decode error of the arrivals so far."""
        for symbol in self.arrived[self._n_followed :]:
            self._follow(symbol)
        self._n_followed = len(self.arrived)
        return float(self._residual @ self._residual) / self.code.n_tasks

    def weights(self, arrived: list[int]) -> FloatArray:
        """Return the least-squares weights of the arrivals."""
        rows = self.code.matrix[arrived].toarray()
        solved: FloatArray = np.linalg.lstsq(rows.T, np.ones(self.code.n_tasks), rcond=None)[0]
        return solved

    def _decode(self) -> Decoding:
        known = self._cache.get(self._mask)
        if known is None:
            known = super()._decode()
            self._cache[self._mask] = known
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(self._mask)
        return known

    def _follow(self, symbol: int) -> None:
        """Take a row's new direction out of the residual."""
        tasks, coefficients = self.code.row(symbol)
        new = np.zeros(self.code.n_tasks)
        new[tasks] = coefficients
        length = float(np.sqrt(new @ new))
        # Twice is enough: once leaves rounding errors that grow with the condition number.
        for _ in range(2):
            basis = self._basis[: self._rank]
            new -= (basis @ new) @ basis
        rest = float(np.sqrt(new @ new))
        if rest > DEPENDENT * length:
            new /= rest
            self._residual -= (new @ self._residual) * new
            if self._rank == len(self._basis):
                self._basis = np.concatenate([self._basis, np.empty_like(self._basis)])
            self._basis[self._rank] = new
            self._rank += 1
