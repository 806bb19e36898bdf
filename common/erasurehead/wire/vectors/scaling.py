"""The power of two that all values of a vector are multiplied with before they are rounded."""

from __future__ import annotations

import math

import numpy as np

from erasurehead.arrays import FloatArray

LEAST_EXPONENT = -1000
"""Where the scale stops to follow vectors that are next to nothing: its inverse must be finite."""


def exponent_of(values: FloatArray) -> int:
    """Return e such that the largest finite of values, shape (n,), is in [2^(e-1), 2^e)."""
    return max(math.frexp(_largest(values))[1], LEAST_EXPONENT)


def _largest(values: FloatArray) -> float:
    """Return the largest absolute value of those that are finite, 0.0 if there is none."""
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if math.isfinite(low) and math.isfinite(high):
        return max(-low, high)
    return _largest(values[np.isfinite(values)])
