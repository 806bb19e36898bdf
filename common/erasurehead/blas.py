"""Products of long vectors on one core."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, Vector

LONGEST = 1 << 13
"""Numbers in the longest vector to hand to BLAS at once. It works on longer ones with several
threads, which wait for each other: on a node that is busy with workers that takes a hundred times
as long as the work itself."""


def squared_norm(vector: Vector) -> float:
    """Return ||vector||^2 of a contiguous array of shape (n,); infinite or NaN, without a warning,
    if it overflows."""
    if 0 < len(vector) <= LONGEST and vector.dtype == np.float64:
        return float(np.vdot(vector, vector))  # it never warns
    with np.errstate(over="ignore", invalid="ignore"):
        return dot(vector, vector)


def dot(one: Vector, other: Vector) -> float:
    """Return one·other for contiguous arrays of shape (n,) each."""
    if len(one) <= LONGEST:
        return float(np.dot(one, other))
    whole = len(one) - len(one) % LONGEST
    product = 0.0
    if whole:
        heads = (vector[:whole].reshape(-1, LONGEST) for vector in (one, other))
        product = float(np.vecdot(*heads).sum())
    if whole < len(one):
        product += float(np.vecdot(one[whole:], other[whole:]))
    return product


def dots(one: Vector, other: Vector) -> FloatArray:
    """Return one·other of each piece of contiguous arrays of shape (n,), shape (pieces,).

    Pieces have `LONGEST` numbers, and the last one what is left. Their sum does not depend on how
    many of them are found at once.
    """
    whole = len(one) - len(one) % LONGEST
    found = np.empty(-(-len(one) // LONGEST))
    if whole:
        heads = (vector[:whole].reshape(-1, LONGEST) for vector in (one, other))
        found[: whole // LONGEST] = np.vecdot(*heads)
    if whole < len(one):
        found[-1] = np.dot(one[whole:], other[whole:])
    return found


def add_weighted(total: FloatArray, values: Vector, weight: float) -> None:
    """Add weight * values, shape (n,), to a contiguous array of that shape, in place."""
    native = values.dtype == np.float64
    if weight == 1.0 and native:
        total += values
    elif weight == -1.0 and native:
        total -= values
    else:
        # Not loaded by runs that never need it: it takes 9 MB.
        from scipy.linalg.blas import daxpy

        for lo in range(0, len(total), LONGEST):
            block = slice(lo, lo + LONGEST)
            if native:
                daxpy(values[block], total[block], a=weight)  # in place
            else:
                here = total[block]
                here += np.multiply(values[block], weight, dtype=np.float64)
