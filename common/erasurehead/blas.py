"""Products of long vectors on one core."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, Vector

LONGEST = 1 << 13
"""Numbers in the longest vector to hand to BLAS at once. It works on longer ones with several
threads, which wait for each other: on a node that is busy with workers that takes a hundred times
as long as the work itself."""


def squared_norm(vector: FloatArray) -> float:
    """Return ||vector||^2."""
    return dot(vector, vector)


def dot(one: Vector, other: Vector) -> float:
    """Return one·other for contiguous arrays of the same length."""
    whole = len(one) - len(one) % LONGEST
    heads = (vector[:whole].reshape(-1, LONGEST) for vector in (one, other))
    return float(np.vecdot(*heads).sum() + np.vecdot(one[whole:], other[whole:]))
