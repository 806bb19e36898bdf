"""Heterogeneity-aware exact code: loads in proportion to the slots' speeds."""

from __future__ import annotations

import math

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.layouts import holders, laid_cyclically
from erasurehead.coding.options import check_tolerance, numbers
from erasurehead.coding.precision import kept_promise
from erasurehead.errors import UsageError

LEAST_SPEED = 1e-15
"""Speeds from this to its inverse: sums and quotients of them must be numbers."""


def heterogeneous(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    s: int,
    speeds: str = "1",
) -> GradientCode:
    """Return the code of arXiv 1901.09339: n(s+1) copies shared out by speed, laid cyclically.

    With a random (s+1) x k matrix C, the coefficients of task j on its holders S_j solve
    C_{S_j} b = 1; x with x^T C = 0 on the stragglers gives the weights x^T C / x^T 1.
    They magnify rounding by 1e6 to 6e6 in the worst of all sets at k = 30, s = 5 and speeds 1, 2, 3
    in turn (by 1e4 in the worst of 300, as a rule); those of least norm, which the decoder takes,
    by less than 100 in the worst of 300.

    Parameters
    ----------
    s: stragglers tolerated, 0 to k - 1.
    speeds: relative speed of each slot, ``1/1/2``; one number for all alike.

    Raises
    ------
    UsageError: s out of range or beyond double precision, a speed that is not positive, or speeds
        so uneven that a slot gets no task.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    check_tolerance("heterogeneous", n_workers, s)
    relative = numbers(speeds, n_workers, "speeds")
    return kept_promise(lambda s: _drawn(relative, n_tasks, s, rng), s)


def _drawn(speeds: FloatArray, n_tasks: int, s: int, rng: np.random.Generator) -> GradientCode:
    n_workers = len(speeds)
    copies = copies_by_speed(speeds, n_tasks, s + 1)
    tasks_of_slot = laid_cyclically(copies, n_tasks)
    C = rng.standard_normal((s + 1, n_workers))
    dense = np.zeros((n_workers, n_tasks))
    for task, slots in enumerate(holders(tasks_of_slot, n_tasks)):
        dense[slots, task] = np.linalg.solve(C[:, slots], np.ones(s + 1))
    rows = [(tasks, dense[slot, tasks]) for slot, tasks in enumerate(tasks_of_slot)]
    return code_from_rows(
        "heterogeneous", rows, n_tasks, n_workers=n_workers, tolerance=s, fewer_suffice=True
    )


def copies_by_speed(speeds: FloatArray, n_tasks: int, replication: int) -> IntArray:
    """Share out n * replication copies in proportion to speed, at most n a slot, shape (k,).

    Whole numbers by largest remainder.

    Raises
    ------
    UsageError: a speed that is not positive or out of range, or a slot left without a task.
    """
    bad = np.flatnonzero(~((speeds >= LEAST_SPEED) & (speeds <= 1.0 / LEAST_SPEED)))
    if len(bad):
        raise UsageError(
            f"speed {speeds[bad[0]]:g} of worker {bad[0]} must be positive, {LEAST_SPEED:g} to"
            f" {1.0 / LEAST_SPEED:g}; only proportions count, as in 1/1/2, and a worker that"
            " computes nothing is left out"
        )
    total = n_tasks * replication
    share = np.zeros(len(speeds))
    full = np.zeros(len(speeds), dtype=bool)
    while True:
        # A slot that would get more than all tasks gets all; the others share what is left.
        share[~full] = (total - n_tasks * full.sum()) * speeds[~full] / speeds[~full].sum()
        over = ~full & (share > n_tasks)
        if not over.any():
            break
        full |= over
        share[full] = n_tasks
    copies = np.floor(share + 1e-9).astype(np.int64)
    remainder = np.where(copies < n_tasks, share - copies, -1.0)
    copies[np.argsort(-remainder, kind="stable")[: total - int(copies.sum())]] += 1
    if copies.min() == 0:
        slot = int(copies.argmin())
        # Then the slowest one's share is a whole task.
        enough = math.ceil(speeds.sum() / (speeds[slot] * replication) - 1e-9)
        raise UsageError(
            f"worker {slot} of speed {speeds[slot]:g} would get none of the {total} task copies;"
            f" use at least {enough} tasks, or leave the worker out"
        )
    return copies
