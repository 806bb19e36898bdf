"""Decoders whose weights depend on the other arrivals: they keep all until the round closes."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR, Decoder, Decoding, summarize


class HoldingDecoder(Decoder):
    """Collects arrivals; subclasses say which weights an arrival set gets."""

    def __init__(self, code: GradientCode) -> None:
        super().__init__(code)
        indices, indptr = code.matrix.indices, code.matrix.indptr
        stored = np.split(np.where(code.matrix.data != 0, indices, -1), indptr[1:-1])
        self._tasks: list[list[int]] = [row[row >= 0].tolist() for row in stored]
        self.begin()

    def begin(self) -> None:
        """Start a round with no arrivals."""
        self.arrived: list[int] = []
        self._covered = bytearray(self.code.n_tasks)
        self._n_uncovered = self.code.n_tasks
        self._decoding: Decoding | None = None

    def arrive(self, symbol: int) -> float | None:
        """Take one symbol; its weight is known at the end."""
        self.arrived.append(symbol)
        self._decoding = None
        for task in self._tasks[symbol]:
            if not self._covered[task]:
                self._covered[task] = 1
                self._n_uncovered -= 1
        return None

    @property
    def exact(self) -> bool:
        """True when the arrivals so far decode to alpha = 1 (to rounding)."""
        return self._n_uncovered == 0 and self.error() <= EXACT_ERROR

    def error(self) -> float:
        """Return the decode error ||alpha - 1||^2 / n if the round closed now."""
        return self.finish().decode_error

    def finish(self) -> Decoding:
        """Return the weights of the arrivals so far."""
        if self._decoding is None:
            self._decoding = self._decode()
        return self._decoding

    def _decode(self) -> Decoding:
        weights = np.zeros(self.code.n_symbols)
        if self.arrived:
            weights[self.arrived] = self.weights(self.arrived)
        held = {s: float(weights[s]) for s in self.arrived if weights[s] != 0.0}
        return summarize(self.code, weights, 1.0, held)

    @abstractmethod
    def weights(self, arrived: list[int]) -> FloatArray:
        """Return the weights of what is in `arrived` (at least one), in that order, shape (r,)."""
