"""Batched coupon collector: every slot picks a batch for itself."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, repetition_code
from erasurehead.coding.groups import Groups
from erasurehead.coding.options import check_load
from erasurehead.coding.partition import blocks_of
from erasurehead.coding.suitable import decoded_by


@decoded_by("first-copy:scale=coverage")
def coupon(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: int,
) -> GradientCode:
    """Return the batched coupon collector code: each slot picks one of ceil(n/c) batches at random.

    arXiv 1710.09990. Needs no coordination: slots may come and go without touching the others. All
    B batches are in after B H_B slots on average (H the harmonic numbers), so k should be well
    above that; a batch that no slot picked stays erased.

    Parameters
    ----------
    c: tasks per batch, 1 to n.

    Raises
    ------
    UsageError: c is out of range.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    check_load("coupon", n_tasks, c)
    n_batches = -(-n_tasks // c)
    picked = rng.integers(n_batches, size=n_workers, dtype=np.int64)
    return repetition_code("coupon", Groups(picked, blocks_of(n_tasks, n_batches)))
