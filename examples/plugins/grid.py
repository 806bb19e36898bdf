"""A vector format: one byte a value, on a grid of 255 points between the largest values."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import Packed, VectorFormat


class Grid(VectorFormat):
    """x is sent as round(127 x / m) and m = max |x|; what is not finite becomes NaN."""

    name: ClassVar[str] = "grid"
    relative_error: float = 0.51 / 127  # half a step, and rounding

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Return the step of each value, and the largest size of all."""
        largest = np.abs(values).max(initial=0.0)
        if not np.isfinite(largest):
            largest, values = np.nan, np.zeros(len(values))
        scaled = values * (127 / largest) if largest > 0 else np.zeros(len(values))
        steps = np.rint(scaled).astype("<i1")
        return Packed(self.name, len(values), (steps, np.array([largest], dtype="<f8")))

    def fits(self, packed: Packed) -> bool:
        """Return whether these are steps and a size."""
        return packed.layout == [(np.dtype("<i1"), packed.n), (np.dtype("<f8"), 1)]

    def unpack(self, packed: Packed) -> Vector:
        """Return the points of the grid."""
        steps, largest = packed.arrays
        return steps * (float(largest[0]) / 127)


FORMATS.register("grid", Grid)
