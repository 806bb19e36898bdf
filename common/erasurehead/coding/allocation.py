"""Optimal codes for slots that straggle with probabilities of their own: the allocation problem.

Model: slot i misses the deadline independently with probability p_i, delta_i = p_i/(1-p_i). Slot i
sends sum_j alpha_ij g_j and counts with weight 1/(1-p_i) when it arrives, which is unbiased when
the columns of alpha add up to 1. For partial gradients of norm at most sqrt(C) and alpha >= 0 the
mean squared error is at most C sum_i delta_i Y_i^2, Y_i = sum_j alpha_ij (arXiv 2510.22539).
"""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.errors import UsageError

NEGLIGIBLE = 1e-12
"""Pieces of a task shorter than this are rounding, not allocation."""


def reliability(p: FloatArray) -> FloatArray:
    """Return 1/delta_i = (1-p_i)/p_i, shape (k,)."""
    return (1.0 - p) / p


def optimal_row_sums(p: FloatArray, n_tasks: int) -> tuple[FloatArray, float]:
    """Return Y* and the least value n^2/Delta of sum_i delta_i Y_i^2 subject to sum_i Y_i = n.

    arXiv 2510.22539, Theorem 1: Y_i* = n delta_i^-1 / Delta, Delta = sum_i (1-p_i)/p_i. `p` and Y*
    have the shape (k,).
    """
    weight = reliability(p)
    total = float(weight.sum())
    return n_tasks * weight / total, n_tasks**2 / total


def capped_row_sums(p: FloatArray, n_tasks: int, caps: FloatArray) -> tuple[FloatArray, float]:
    """Return the optimal Y with Y_i <= caps_i, and its value: water-filling.

    Y_i = min(caps_i, t / delta_i): slots over their caps are set to them, and the others share the
    rest again. `p`, `caps` and Y have the shape (k,).

    Raises
    ------
    UsageError: the caps add up to less than n.
    """
    if caps.sum() < n_tasks * (1.0 - 1e-12):
        raise UsageError(
            f"the workers' limits add up to {caps.sum():g} tasks, fewer than the {n_tasks} there"
            " are; raise them or use more workers"
        )
    weight = reliability(p)
    full = np.zeros(len(p), dtype=bool)
    while True:
        left = max(0.0, n_tasks - float(caps[full].sum()))
        free = float(weight[~full].sum())
        row_sums = np.where(full, caps, left * weight / free if free else 0.0)
        over = ~full & (row_sums > caps)
        if not over.any():
            return row_sums, float(np.sum(row_sums**2 / weight))
        full |= over


def interval_allocation(row_sums: FloatArray, n_tasks: int) -> list[tuple[IntArray, FloatArray]]:
    """Lay intervals of lengths Y_1, Y_2, ... end to end on [0, n); task j is [j, j+1).

    alpha_ij is the length of the overlap: non-negative, columns add up to 1, rows to Y_i, at most
    n + k - 1 non-zeros, and slot i holds at most floor(Y_i) + 2 consecutive tasks. This is the
    north-west-corner rule of transport problems, in place of arXiv 2510.22539's schemes.

    Returns
    -------
    (tasks, coefficients) of each slot, two arrays of shape (load,).
    """
    ends = np.cumsum(row_sums) * (n_tasks / float(row_sums.sum()))
    starts = np.concatenate([[0.0], ends[:-1]])
    rows: list[tuple[IntArray, FloatArray]] = []
    for lo, hi in zip(starts, ends, strict=True):
        first = min(int(np.floor(lo)), n_tasks - 1)
        last = max(first + 1, min(int(np.ceil(hi)), n_tasks))
        tasks = np.arange(first, last)
        lengths = np.minimum(hi, tasks + 1) - np.maximum(lo, tasks)
        keep = lengths > NEGLIGIBLE
        if not keep.any():
            keep[int(np.argmax(lengths))] = True
        rows.append((tasks[keep], np.maximum(lengths[keep], 0.0)))
    return rows


def default_counts(n_tasks: int, n_workers: int) -> IntArray:
    """Return b of shape (k,) and sum n + k - 1, as even as can be: (2, ..., 2, 1) for n = k."""
    total = n_tasks + n_workers - 1
    counts = np.full(n_workers, total // n_workers, dtype=np.int64)
    counts[: total % n_workers] += 1
    return counts


def shared_task_allocation(row_sums: FloatArray, n_tasks: int) -> list[tuple[IntArray, FloatArray]]:
    """Scheme I of arXiv 2510.22539: task 0 on every slot, the others on one slot each.

    Entries of task 0 are Y_i - (b_i - 1), negative or above 1 as soon as the p_i differ; the error
    bound n^2/Delta does not hold then. For reproduction only. Takes `row_sums`, shape (k,), and
    returns what `interval_allocation` does.
    """
    rows: list[tuple[IntArray, FloatArray]] = []
    first = 1
    for own, row_sum in zip(default_counts(n_tasks, len(row_sums)) - 1, row_sums, strict=True):
        tasks = np.concatenate([[0], np.arange(first, first + own)])
        rows.append((tasks, np.concatenate([[row_sum - own], np.ones(own)])))
        first += int(own)
    return rows


def chain_allocation(row_sums: FloatArray, n_tasks: int) -> list[tuple[IntArray, FloatArray]]:
    """Scheme II of arXiv 2510.22539: neighbouring slots share one task, the others are exclusive.

    Signs as for Scheme I. For reproduction only. Takes `row_sums`, shape (k,), and returns what
    `interval_allocation` does.
    """
    rows: list[tuple[IntArray, FloatArray]] = []
    position, carried = 0, 0.0
    for count, row_sum in zip(default_counts(n_tasks, len(row_sums)), row_sums, strict=True):
        entries = np.ones(count)
        entries[0] = 1.0 - carried
        if count == 1:
            entries[0] = row_sum
            carried += float(row_sum)
        else:
            carried = float(row_sum - entries[:-1].sum())
            entries[-1] = carried
        rows.append((np.arange(position, position + count), entries))
        position += int(count) - 1
    return rows


def coefficients_for_support(
    supports: list[IntArray], p: FloatArray, gram: FloatArray
) -> tuple[FloatArray, float]:
    """Return the optimal alpha for a given placement, and its mean squared error.

    Minimises sum_i delta_i alpha_i Gamma alpha_i^T with columns adding up to 1:
    M = sum_i delta_i^-1 E_i (Gamma_SiSi)^-1 E_i^T, nu = M^-1 1,
    alpha_{i,Si} = delta_i^-1 (Gamma_SiSi)^-1 nu_Si, error 1^T M^-1 1. For Gamma = I this is
    alpha_ij = delta_i^-1 / sum_{l holds j} delta_l^-1. By Lagrange multipliers nu; arXiv 2510.22539
    has the case in which all task gradients are equal.

    Parameters
    ----------
    supports: tasks of each slot; every task is on some slot.
    p: straggler probabilities, shape (k,).
    gram: Gamma = E[g_j . g_j'], positive definite, shape (n, n).
    """
    n_tasks = len(gram)
    weight = reliability(p)
    inverses = [np.linalg.inv(gram[np.ix_(tasks, tasks)]) for tasks in supports]
    M = np.zeros((n_tasks, n_tasks))
    for tasks, inverse, w in zip(supports, inverses, weight, strict=True):
        M[np.ix_(tasks, tasks)] += w * inverse
    nu = np.linalg.solve(M, np.ones(n_tasks))
    alpha = np.zeros((len(supports), n_tasks))
    for slot, (tasks, inverse) in enumerate(zip(supports, inverses, strict=True)):
        alpha[slot, tasks] = weight[slot] * (inverse @ nu[tasks])
    return alpha, float(nu.sum())
