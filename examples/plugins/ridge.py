"""A decoder: least squares with a price on large weights, so that rounding is amplified less."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext
from erasurehead.decoding.holding import HoldingDecoder


class RidgeDecoder(HoldingDecoder):
    """Weights w that minimise ||A_R^T w - 1||^2 + price ||w||^2."""

    def __init__(self, code: GradientCode, context: DecoderContext, *, price: float = 0.01) -> None:
        super().__init__(code)
        self._price = price

    def weights(self, arrived: list[int]) -> FloatArray:
        """Return the weight of each symbol that arrived."""
        rows = self.code.matrix[arrived].toarray()
        gram = rows @ rows.T + self._price * np.eye(len(arrived))
        return np.linalg.solve(gram, rows.sum(axis=1))


DECODERS.register("ridge", RidgeDecoder)
