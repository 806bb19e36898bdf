"""One byte a value and a scale for each block of values: an eighth of the bytes."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.vectors.base import Packed, Packer, VectorFormat

_I1, _F8 = np.dtype("|i1"), np.dtype("<f8")

BLOCK = 256
"""Values that share a scale: small ones far from the largest keep their digits."""

MOST = 126
"""Steps from zero to the largest value of a block."""

PLUS, MINUS, NEITHER = 127, -127, -128
"""Instead of steps: plus infinity, minus infinity, NaN."""


class Q8(VectorFormat):
    """Every value is sent as the nearest of 253 steps between the largest sizes of its block.

    What rounding takes from a vector its packer adds to the next (error feedback, arXiv 1901.09847,
    Algorithm 2), so that it is lost to no sum over rounds. Without that the rounding of a gradient
    is the same in every round, and a cache ends farther from the minimum (docs/codes-measured.md).
    """

    name = "q8"
    relative_error = 0.5 / MOST * (1 + 1e-12)
    feedback = True

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Round to the nearest step."""
        finite = np.isfinite(values)
        sizes = np.abs(np.where(finite, values, 0.0))
        starts = np.arange(0, len(values), BLOCK)
        largest = np.maximum.reduceat(sizes, starts) if len(values) else np.zeros(0)
        scales = largest / MOST
        step = np.repeat(np.where(scales > 0, scales, 1.0), BLOCK)[: len(values)]
        with np.errstate(invalid="ignore"):
            steps = np.clip(np.rint(values / step), -MOST, MOST)
        if not finite.all():
            steps = np.where(np.isposinf(values), PLUS, steps)
            steps = np.where(np.isneginf(values), MINUS, steps)
            steps = np.where(np.isnan(values), NEITHER, steps)
        return Packed(self.name, len(values), (steps.astype(_I1), scales.astype(_F8)))

    def fits(self, packed: Packed) -> bool:
        """Return whether these are a byte for each value, and a scale for each block."""
        return packed.layout == [(_I1, packed.n), (_F8, -(-packed.n // BLOCK))]

    def unpack(self, packed: Packed) -> Vector:
        """Return the steps times their scales; those are a peer's word, and may be anything."""
        steps, scales = packed.arrays
        with np.errstate(over="ignore", invalid="ignore"):
            values: Vector = steps * np.repeat(scales, BLOCK)[: packed.n]
        if steps.max(initial=0) > MOST or steps.min(initial=0) < -MOST:
            values[steps == PLUS], values[steps == MINUS] = np.inf, -np.inf
            values[steps == NEITHER] = np.nan
        return values

    def packer(self, rng: np.random.Generator) -> Packer:
        """Return what packs the vectors of one sender, and remembers what rounding took."""
        return FeedbackPacker(self, rng)


class FeedbackPacker(Packer):
    """Adds to each vector what rounding took from those before.

    Parameters
    ----------
    format: says what comes out of what is sent.
    rng: for formats that round at random.
    """

    def __init__(self, format: VectorFormat, rng: np.random.Generator) -> None:
        super().__init__(format, rng)
        self._lost: FloatArray | float = 0.0

    def pack(self, values: FloatArray) -> Packed:
        """Return the next vector as it travels; one that is not finite leaves nothing behind."""
        meant = values + self._lost
        packed = super().pack(meant)
        with np.errstate(invalid="ignore"):
            lost = meant - self._format.unpack(packed)
        self._lost = lost if np.isfinite(lost).all() else 0.0
        return packed
