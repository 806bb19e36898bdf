"""Double precision: what is computed is what travels."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.vectors.base import Packed, VectorFormat

_F8 = np.dtype("<f8")


class F8(VectorFormat):
    """Eight bytes a value, and nothing is copied on either side."""

    name = "f8"
    relative_error = 0.0
    value_by_value = True
    divisible = True

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Return the values themselves."""
        return Packed(self.name, len(values), (np.asarray(values, dtype=_F8),))

    def fits(self, packed: Packed) -> bool:
        """Return whether this is one array of doubles."""
        arrays = packed.arrays
        return len(arrays) == 1 and arrays[0].dtype == _F8 and len(arrays[0]) == packed.n

    def unpack(self, packed: Packed) -> Vector:
        """Return a view."""
        values: Vector = packed.arrays[0]
        return values
