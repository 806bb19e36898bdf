"""A code: worker i holds task i and its mirror image, so every task is held twice."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError


@decoded_by("least-squares")
def mirrored(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
) -> GradientCode:
    """Return the code with A[i, i] = A[i, k-1-i] = 1; it has as many tasks as workers."""
    if n_tasks not in (None, n_workers):
        raise UsageError(f"mirrored has as many tasks as workers; leave --tasks {n_tasks} out")
    ones = np.eye(n_workers)
    matrix = csr_array(np.maximum(ones, ones[::-1]))
    return GradientCode("mirrored", matrix, n_workers)


CODES.register("mirrored", mirrored)
