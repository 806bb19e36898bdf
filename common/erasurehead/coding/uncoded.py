"""No code: every task on exactly one slot."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, repetition_code
from erasurehead.coding.groups import Groups
from erasurehead.coding.partition import blocks_of
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError


@decoded_by("first-copy:scale=coverage")
def uncoded(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
) -> GradientCode:
    """Return the code whose slots hold floor(n/k) or ceil(n/k) consecutive tasks of their own.

    n defaults to k. Seen as a repetition code it has k groups of one slot, so that ignoring
    stragglers (arXiv 1901.09671, Remark 1) is first-copy decoding with fewer than k arrivals.

    Raises
    ------
    UsageError: fewer tasks than slots.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    if n_tasks < n_workers:
        raise UsageError(
            f"{n_tasks} tasks are too few for {n_workers} uncoded workers: each needs one of its"
            f" own; use at least {n_workers} tasks or at most {n_tasks} workers"
        )
    groups = Groups(np.arange(n_workers, dtype=np.int64), blocks_of(n_tasks, n_workers))
    return repetition_code("uncoded", groups)
