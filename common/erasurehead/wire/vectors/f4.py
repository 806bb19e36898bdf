"""Single precision: half the bytes."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.vectors.base import Packed, VectorFormat

_F4 = np.dtype("<f4")


class F4(VectorFormat):
    """Four bytes a value; received without a copy, and added up as it is.

    A value beyond ±3.4e38 becomes infinite (numpy warns of it, unless it is told not to). So it is
    refused like any other that is not finite: a run whose numbers grow that large has diverged, and
    ends by saying so. Values below 1.2e-38 lose digits, and vanish below 7e-46.
    """

    name = "f4"
    relative_error = 2.0**-24
    value_by_value = True
    divisible = True

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        """Round every value to the nearest float32."""
        return Packed(self.name, len(values), (values.astype(_F4, copy=False),))

    def fits(self, packed: Packed) -> bool:
        """Return whether this is one array of float32."""
        arrays = packed.arrays
        return len(arrays) == 1 and arrays[0].dtype == _F4 and len(arrays[0]) == packed.n

    def unpack(self, packed: Packed) -> Vector:
        """Return a view."""
        values: Vector = packed.arrays[0]
        return values
