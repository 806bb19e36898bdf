"""Placements for decoding with plain sums: no coefficients, any number of stragglers."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.cyclic import cyclic_tasks
from erasurehead.coding.options import check_load, same_as_workers
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError


@decoded_by("circular")
def cyclic_sums(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: int,
) -> GradientCode:
    """Return the cyclic placement with coefficients 1: slot i holds tasks i..i+c-1.

    The CR placement of ignore-straggler gradient coding (Su, Sukhnandan, Li, "On arbitrary
    ignorance of stragglers with gradient coding", ISIT 2023); the FR placement is `frc`. The
    `circular` decoder sums a largest set of arrivals that share no task.

    Parameters
    ----------
    c: tasks per slot, 1 to n; n = k.

    Raises
    ------
    UsageError: c is out of range, or n is not k.
    """
    n_tasks = same_as_workers("cyclic-sums", n_workers, n_tasks)
    check_load("cyclic-sums", n_tasks, c)
    rows = [(cyclic_tasks(slot, c, n_tasks), np.ones(c)) for slot in range(n_workers)]
    return code_from_rows("cyclic-sums", rows, n_tasks, n_workers=n_workers)


@decoded_by("disjoint")
def hybrid_sums(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c1: int,
    c2: int,
    groups: int,
) -> GradientCode:
    """Return the hybrid placement: c1 tasks cyclic within the slot's group, c2 across all groups.

    The HR placement of the same work. Slots fall into `groups` of m = k/groups; the t-th slot of a
    group holds the c1 tasks before its own, going round the group, and the c2 tasks from its own
    on, going round all slots. c1 = 0 is `cyclic-sums`, c1 = m and c2 = 0 is `frc`.

    Raises
    ------
    UsageError: groups do not divide k, or c1 + c2 is not in 1..m.
    """
    n_tasks = same_as_workers("hybrid-sums", n_workers, n_tasks)
    if groups < 1 or n_workers % groups:
        fitting = [x for x in range(1, n_workers + 1) if n_workers % x == 0]
        raise UsageError(
            f"{groups} groups do not divide {n_workers} workers; the nearest number that does is"
            f" {min(fitting, key=lambda x: abs(x - groups))}"
        )
    size = n_workers // groups
    if min(c1, c2) < 0 or not 1 <= c1 + c2 <= size:
        raise UsageError(
            f"c1={c1} and c2={c2} do not fit groups of {size} workers; they must not be negative"
            f" and add up to 1 to {size}"
        )
    rows = []
    for slot in range(n_workers):
        place = slot % size
        within = slot - place + (place - np.arange(1, c1 + 1)) % size
        tasks = np.sort(np.concatenate([within, cyclic_tasks(slot, c2, n_tasks)]))
        rows.append((tasks, np.ones(c1 + c2)))
    return code_from_rows("hybrid-sums", rows, n_tasks, n_workers=n_workers)
