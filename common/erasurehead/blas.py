"""Products of long vectors on one core."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray

LONGEST = 1 << 13
"""Numbers in the longest vector to hand to BLAS at once. It works on longer ones with several
threads, which wait for each other: on a node that is busy with workers that takes a hundred times
as long as the work itself."""


def squared_norm(vector: FloatArray) -> float:
    """Return ||vector||^2."""
    n_rows, rest = divmod(len(vector), LONGEST)
    rows, tail = (
        vector[: len(vector) - rest].reshape(n_rows, LONGEST),
        vector[n_rows * LONGEST :],
    )
    return float(np.vecdot(rows, rows).sum() + np.vecdot(tail, tail))
