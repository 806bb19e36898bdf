"""What a vector format is: how a model or a gradient travels between master and workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from erasurehead.arrays import FloatArray, IntArray, Vector

ROUNDING = 0xF0A7
"""Keeps what a format draws apart from whatever else is drawn from a run's seed."""


class Packed(Struct, frozen=True):
    """One vector as it travels.

    Attributes
    ----------
    format: the name of its format.
    n: how many values it stands for.
    arrays: what is sent, each with one axis; what they mean is the format's own business.
    """

    format: str
    n: int
    arrays: tuple[npt.NDArray[Any], ...]

    @property
    def layout(self) -> list[tuple[np.dtype[Any], int]]:
        """Dtype and length of each array."""
        return [(array.dtype, len(array)) for array in self.arrays]


class Packer:
    """Packs the vectors of one sender, one after another.

    A sender has a packer for each kind of vector it sends again and again (a worker one for each
    vector of each part of its results), so a format with memory returns a kind of its own, which
    may keep what one vector lost in rounding and add it to the next.
    """

    def __init__(self, format: VectorFormat, rng: np.random.Generator) -> None:
        self._format = format
        self._rng = rng

    def pack(self, values: FloatArray) -> Packed:
        """Return the next vector, shape (n,), as it travels; see `VectorFormat.pack`."""
        return self._format.pack(values, self._rng)


class VectorFormat(ABC):
    """How vectors of numbers travel: what is sent for them, and what comes out again.

    Whatever the format, a vector that is not finite comes out as one that is not: the receiver must
    be able to refuse it.

    Attributes
    ----------
    name: the registry's name, also on the wire.
    relative_error: the largest rounding error of a value, as a share of the vector's largest value:
        max |unpack(pack(x)) - x| <= relative_error * max |x|.
    value_by_value: what comes out for a value depends on this value alone, and is always the same.
        So a receiver of a part of a vector has that part of what others receive.
    divisible: the first array has one number for each value, and the others serve any part of them:
        a receiver of a part of the numbers has that part of what others receive.
    feedback: its packers add what rounding took from one vector to the next. Only then may a format
        that rounds coarsely serve a cache, which adds the same vectors up again and again.
    """

    name: ClassVar[str]
    relative_error: float
    value_by_value: ClassVar[bool] = False
    divisible: ClassVar[bool] = False
    feedback: ClassVar[bool] = False

    @abstractmethod
    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Return what is sent for `values`, shape (n,), float64.

        The result may hold `values` themselves, so they must not change afterwards. `rng` is for
        formats that round at random.
        """

    @abstractmethod
    def fits(self, packed: Packed) -> bool:
        """Return whether the arrays are what `packed.n` values of this format need.

        They come from a peer: number, dtypes and lengths may be any. `unpack` is handed nothing
        else than what fits.
        """

    @abstractmethod
    def unpack(self, packed: Packed) -> Vector:
        """Return the values, shape (n,), float64 or float32.

        Where possible they are a view of the received frames, so they must not be changed.
        """

    def part(self, packed: Packed, support: IntArray | None) -> Packed:
        """Return what stands for some of the values; only of a format that is `divisible`.

        `support` has their places, ascending, shape (values,); None: all of them.
        """
        if support is None:
            return packed
        numbers, *others = packed.arrays
        return Packed(packed.format, len(support), (numbers[support], *others))

    def misfit(self, packed: Packed) -> str | None:
        """Return why this is no vector of this format, in words; None if it is one."""
        if packed.format != self.name:
            return f"it is in vector format '{packed.format}', not '{self.name}'"
        if not self.fits(packed):
            return f"its arrays are no vector in format '{self.name}'"
        return None

    def packer(self, rng: np.random.Generator) -> Packer:
        """Return what packs the vectors of one sender."""
        return Packer(self, rng)
