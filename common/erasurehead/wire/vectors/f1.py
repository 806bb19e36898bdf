"""Numbers of eight bits, scaled: an eighth of the bytes."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.vectors.base import Packed, VectorFormat
from erasurehead.wire.vectors.scaling import exponent_of

_U1, _U2, _F4, _F8 = map(np.dtype, ("|u1", "<u2", "<f4", "<f8"))

INFINITE, NEITHER = 127, 126
"""Codes of what is not finite. No finite value needs them: 112 is one, and none is larger."""

_ONE = 112


@cache
def _meanings() -> FloatArray:
    """Return what each code stands for, shape (256,)."""
    exponents, digits = np.divmod(np.arange(128), 16)
    values = np.where(
        exponents > 0, (1.0 + digits / 16) * 2.0 ** (exponents - 7), digits / 16 * 2.0**-6
    )
    values[INFINITE], values[NEITHER] = np.inf, np.nan
    return np.concatenate([values, -values])


@cache
def _codes() -> npt.NDArray[np.uint8]:
    """Return the code of each float32 of size up to 1, by its first 16 bits.

    Those are enough to tell the nearest; what is just between two goes to the larger one in size.
    """
    bits = np.arange(1 << 16, dtype=np.uint32) << 16
    sizes = (bits & 0x7FFFFFFF).view(np.float32)
    finite = _meanings()[: _ONE + 1]
    between = (finite[:-1] + finite[1:]) / 2
    with np.errstate(invalid="ignore"):
        codes = np.searchsorted(between, sizes, side="right")
    codes[np.isposinf(sizes)], codes[np.isnan(sizes)] = INFINITE, NEITHER
    return (codes | (bits >> 24 & 0x80)).astype(np.uint8)


class F1(VectorFormat):
    """One byte a value, and a power of two that all of them are multiplied with.

    A byte is a sign, three bits of an exponent and four binary digits behind the point. Each value
    keeps five digits of its own, down to 2^-6 of the largest; smaller ones are multiples of 2^-10.
    That is coarse for a model, and fine for the difference between a model and the one before: what
    is lost comes with the next difference (`erasurehead_master.run.told`).
    """

    name = "f1"
    relative_error = 2.0**-5
    divisible = True

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Scale exactly, then look the nearest code up."""
        exponent = exponent_of(values)
        scaled = np.empty(len(values), dtype=_F4)
        with np.errstate(over="ignore", invalid="ignore"):
            np.multiply(values, math.ldexp(1.0, -exponent), out=scaled, casting="same_kind")
        codes = _codes()[scaled.view(_U2)[1::2]]
        scale = np.array([math.ldexp(1.0, exponent)], dtype=_F8)
        return Packed(self.name, len(values), (codes, scale))

    def fits(self, packed: Packed) -> bool:
        """Return whether these are bytes and one scale."""
        return packed.layout == [(_U1, packed.n), (_F8, 1)]

    def unpack(self, packed: Packed) -> Vector:
        """Return the scaled values as float64; the scale is a peer's word, and may be anything."""
        codes, scale = packed.arrays
        with np.errstate(over="ignore", invalid="ignore"):
            values: Vector = _meanings()[codes] * scale[0]
        return values
