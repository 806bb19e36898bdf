"""Half precision, scaled: a quarter of the bytes."""

from __future__ import annotations

import math

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.vectors.base import Packed, VectorFormat
from erasurehead.wire.vectors.scaling import exponent_of

_F2, _F8 = np.dtype("<f2"), np.dtype("<f8")

TOP_EXPONENT = 15
"""The largest value of a vector is sent as 2^14 to 2^15: float16 ends at 65504."""


class F2(VectorFormat):
    """Two bytes a value, and a power of two that all of them are multiplied with.

    float16 alone spans 6e-8 to 65504, which sums over many rows leave on either side. With the
    scale no finite value becomes infinite, and every value that is at least 2^-29 of the largest
    keeps 11 binary digits; smaller ones are good to 2^-39 of the largest.
    """

    name = "f2"
    relative_error = 2.0**-11
    divisible = True

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Scale exactly, then round every value to the nearest float16."""
        exponent = exponent_of(values) - TOP_EXPONENT
        rounded = (values * math.ldexp(1.0, -exponent)).astype(_F2)
        scale = np.array([math.ldexp(1.0, exponent)], dtype=_F8)
        return Packed(self.name, len(values), (rounded, scale))

    def fits(self, packed: Packed) -> bool:
        """Return whether these are float16 values and one scale."""
        return packed.layout == [(_F2, packed.n), (_F8, 1)]

    def unpack(self, packed: Packed) -> Vector:
        """Return the scaled values as float64; the scale is a peer's word, and may be anything."""
        rounded, scale = packed.arrays
        with np.errstate(over="ignore", invalid="ignore"):
            values: Vector = np.multiply(rounded, scale[0], dtype=np.float64)
        return values
