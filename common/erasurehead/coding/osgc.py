"""Codes for slots that straggle with probabilities of their own."""

from __future__ import annotations

from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.allocation import (
    capped_row_sums,
    chain_allocation,
    coefficients_for_support,
    interval_allocation,
    optimal_row_sums,
    shared_task_allocation,
)
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.cyclic import cyclic_tasks
from erasurehead.coding.options import (
    check_load,
    same_as_workers,
    straggler_probabilities,
)
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError

ALLOCATIONS = {
    "interval": interval_allocation,
    "shared": shared_task_allocation,
    "chain": chain_allocation,
}


@decoded_by("fixed")
def osgc(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    p: str | None = None,
    allocation: Literal["interval", "shared", "chain"] = "interval",
    max_load: int | None = None,
) -> GradientCode:
    """Return the code of least bounded error when slot i straggles with probability p_i.

    arXiv 2510.22539, Theorem 1: any alpha with columns adding up to 1 and rows to
    Y_i* = n (1-p_i)/p_i / Delta. Decode with `fixed` (weights 1/(1-p_i)). Average load below 2;
    reliable slots get more tasks.

    Parameters
    ----------
    p: straggler probabilities, ``0.3`` or ``0.1/0.2/...``; default: those known.
    allocation: `interval` is non-negative, so that the error bound n^2/Delta holds; `shared` and
        `chain` are the paper's Schemes I and II, for reproduction (they go negative when the p_i
        differ).
    max_load: most tasks on a slot, at least 2 and n/k + 1, as a share that begins inside a task
        touches one task more than it is long; `interval` only.

    Raises
    ------
    UsageError: no probabilities, one outside (0, 1), or limits too tight for n tasks.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    known = straggler_probabilities(n_workers, p, probabilities, "code 'osgc'")
    row_sums, _ = optimal_row_sums(known, n_tasks)
    if max_load is not None:
        if allocation != "interval":
            raise UsageError(
                f"max_load={max_load} is kept by allocation=interval only, not by"
                f" allocation={allocation}; leave one of the two out"
            )
        _check_room(max_load, n_workers, n_tasks)
        # An interval of length Y touches at most ceil(Y) + 1 tasks.
        caps = np.full(n_workers, max_load - 1.0)
        row_sums, _ = capped_row_sums(known, n_tasks, caps)
    rows = ALLOCATIONS[allocation](row_sums, n_tasks)
    return code_from_rows("osgc", rows, n_tasks, n_workers=n_workers)


def _check_room(max_load: int, n_workers: int, n_tasks: int) -> None:
    """Raise UsageError unless shares of at most max_load - 1 hold all tasks."""
    least = 1 - (-n_tasks // n_workers)
    if max_load < 2:
        raise UsageError(
            f"max_load={max_load} leaves no room on a worker, because a share that begins inside a"
            f" task reaches into a second one; max_load must be at least {least}"
        )
    share = max_load - 1
    if max_load < least:
        raise UsageError(
            f"max_load={max_load} leaves room for {n_workers * share} tasks on {n_workers} workers,"
            f" fewer than the {n_tasks} there are, because a share of {share} that begins inside a"
            f" task reaches into {max_load}; use at least max_load={least},"
            f" {-(-n_tasks // share)} workers or at most {n_workers * share} tasks"
        )


@decoded_by("fixed")
def matched_cyclic(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: int,
    p: str | None = None,
    correlation: float = 0.0,
) -> GradientCode:
    """Return the cyclic placement with the coefficients that are best for its slots' p_i.

    Minimises the error of unbiased fixed-weight decoding when any two task gradients have the
    given correlation (`erasurehead.coding.allocation.coefficients_for_support`).

    Parameters
    ----------
    c: tasks per slot; n = k.
    p: straggler probabilities, ``0.3`` or ``0.1/0.2/...``; default: those known.
    correlation: of the task gradients, at least 0 and below 1.

    Raises
    ------
    UsageError: no probabilities, one outside (0, 1), a load or correlation out of range, n not k.
    """
    n_tasks = same_as_workers("matched-cyclic", n_workers, n_tasks)
    check_load("matched-cyclic", n_tasks, c)
    if not 0 <= correlation < 1:
        raise UsageError(f"correlation={correlation:g} must be at least 0 and below 1")
    known = straggler_probabilities(n_workers, p, probabilities, "code 'matched-cyclic'")
    supports = [np.sort(cyclic_tasks(slot, c, n_tasks)) for slot in range(n_workers)]
    gram = np.full((n_tasks, n_tasks), correlation) + (1 - correlation) * np.eye(n_tasks)
    alpha, _ = coefficients_for_support(supports, known, gram)
    rows = [(tasks, alpha[slot, tasks]) for slot, tasks in enumerate(supports)]
    return code_from_rows("matched-cyclic", rows, n_tasks, n_workers=n_workers)
