"""Numbers of twelve bits, scaled: three bytes for two values, for differences between models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray, Vector
from erasurehead.wire.vectors.base import Packed, VectorFormat
from erasurehead.wire.vectors.scaling import exponent_of

_U1, _U2, _F2, _F8 = map(np.dtype, ("|u1", "<u2", "<f2", "<f8"))

TOP_EXPONENT = -8
"""The largest value becomes 2^-9 to 2^-8: float16 has no more than three bits of exponent there."""

INFINITE, NEITHER = 2047, 2046
"""Codes of what is not finite. No finite value needs them: 1792 is the largest."""

Codes = npt.NDArray[Any]


class F12(VectorFormat):
    """Twelve bits a value, and a power of two that all of them are multiplied with.

    They are a sign, three bits of an exponent and eight binary digits behind the point: float16
    without its two last digits. Each value keeps nine digits of its own, down to 2^-6 of the
    largest; smaller ones are multiples of 2^-14. The first eight bits of all values come first,
    then the last four of two values in each byte.
    """

    name = "f12"
    relative_error = 1.25 * 2.0**-9
    """Half of the last digit, and half of that of float16, to which is rounded first."""
    divisible = True

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Scale exactly, then round every value to the nearest."""
        exponent = exponent_of(values) - TOP_EXPONENT
        with np.errstate(over="ignore", invalid="ignore"):
            bits = (values * math.ldexp(1.0, -exponent)).astype(_F2).view(_U2)
        size = bits & 0x7FFF
        codes: Codes = (size + 2) >> 2
        if size.max(initial=0) >= 0x7C00:
            codes[size == 0x7C00], codes[size > 0x7C00] = INFINITE, NEITHER
        codes |= (bits & 0x8000) >> 4
        return _packed(codes, np.array([math.ldexp(1.0, exponent)], dtype=_F8))

    def part(self, packed: Packed, support: IntArray | None) -> Packed:
        """Return what stands for some of the values."""
        if support is None:
            return packed
        return _packed(_codes(packed)[support], packed.arrays[2])

    def fits(self, packed: Packed) -> bool:
        """Return whether these are bytes, halves of bytes, and one scale."""
        return packed.layout == [(_U1, packed.n), (_U1, (packed.n + 1) // 2), (_F8, 1)]

    def unpack(self, packed: Packed) -> Vector:
        """Return the scaled values as float64; the scale is a peer's word, and may be anything."""
        codes = _codes(packed)
        size = codes & 0x7FF
        rounded = ((size << 2) | ((codes & 0x800) << 4)).view(_F2)
        with np.errstate(over="ignore", invalid="ignore"):
            values: Vector = np.multiply(rounded, packed.arrays[2][0], dtype=np.float64)
        if size.max(initial=0) >= NEITHER:
            values[size == INFINITE] = np.where(codes[size == INFINITE] & 0x800, -np.inf, np.inf)
            values[size == NEITHER] = np.nan
        return values


def _packed(codes: Codes, scale: npt.NDArray[np.float64]) -> Packed:
    last = np.zeros(len(codes) + len(codes) % 2, dtype=_U1)
    last[: len(codes)] = codes & 15
    halves = last[::2] | (last[1::2] << 4)
    return Packed(F12.name, len(codes), ((codes >> 4).astype(_U1), halves, scale))


def _codes(packed: Packed) -> Codes:
    """Return twelve bits for each value, shape (n,)."""
    first, halves, _ = packed.arrays
    codes = first.astype(_U2) << 4
    codes[::2] |= halves[: len(codes[::2])] & 15
    codes[1::2] |= halves[: len(codes[1::2])] >> 4
    return codes
