"""How often a block is erased when the first r of k exchangeable slots count.

Notation: k slots, groups of l slots, r arrivals, a uniform random r-subset of the slots.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError


def uncovered_probability(n_workers: int, group_size: npt.ArrayLike, n_arrivals: int) -> FloatArray:
    """Return p = C(k-l, r) / C(k, r): no slot of a group is among the arrivals.

    arXiv 1901.09671, Lemma 2. `group_size` (l, 0 to k) may be an array; the result has its shape.
    """
    sizes = np.asarray(group_size, dtype=np.int64)
    earlier = np.arange(sizes.max(initial=0))
    # Slot by slot of the group: the next one is not an arrival either.
    missed = (n_workers - n_arrivals - earlier) / (n_workers - earlier)
    p: FloatArray = np.concatenate([[1.0], np.cumprod(np.maximum(missed, 0.0))])
    return p[sizes]


def group_size(n_workers: int, n_tasks: int, c: int) -> int:
    """Return l = k c / n, the slots that hold the same c of n tasks.

    Raises
    ------
    UsageError: tasks or slots do not make n/c equal groups.
    """
    if not 1 <= c <= n_tasks or n_tasks % c or n_workers * c % n_tasks:
        raise UsageError(
            f"{n_workers} workers that hold c={c} of {n_tasks} tasks each make no equal groups;"
            f" c must divide {n_tasks}, and {n_tasks}/c must divide {n_workers}"
        )
    return n_workers * c // n_tasks


def either_uncovered_probability(n_workers: int, group_size: int, n_arrivals: int) -> float:
    """Return q = 2p - C(k-2l, r)/C(k, r): of two groups of l slots at least one has no arrival.

    arXiv 1901.09671, Lemma 2: E[Y_b Y_b'] = 1 - q, and p <= q <= 2p. A group of all slots has no
    other beside it, and q = p.

    Raises
    ------
    UsageError: groups of more than half of the slots, but not of all.
    """
    p = float(uncovered_probability(n_workers, group_size, n_arrivals))
    if group_size == n_workers:
        return p
    if 2 * group_size > n_workers:
        raise UsageError(
            f"two groups of {group_size} slots do not fit {n_workers} workers; a group can have at"
            f" most {n_workers // 2}"
        )
    return 2.0 * p - float(uncovered_probability(n_workers, 2 * group_size, n_arrivals))


def first_copy_moments(
    block_sums: FloatArray, n_workers: int, n_arrivals: int
) -> tuple[FloatArray, float]:
    """Return E[g_hat] and E||g_hat||^2 of unscaled first-copy decoding with equal groups.

    arXiv 1901.09671, Lemma 3, for g_hat = sum_b Y_b g[b]:
    E[g_hat] = (1-p) g and E||g_hat||^2 = (1-q) ||g||^2 + (q-p) sum_b ||g[b]||^2.

    Parameters
    ----------
    block_sums: g[b], shape (B, columns); B divides k.
    """
    size = n_workers // len(block_sums)
    p = float(uncovered_probability(n_workers, size, n_arrivals))
    q = either_uncovered_probability(n_workers, size, n_arrivals)
    gradient = block_sums.sum(axis=0)
    square = (1.0 - q) * float(gradient @ gradient) + (q - p) * float(np.sum(block_sums**2))
    return (1.0 - p) * gradient, square


def second_moment_bound(
    gradient_norm: float, sigma: float, n_workers: int, n_tasks: int, c: int, n_arrivals: int
) -> float:
    """Return the bound of Lemma 4 on E||g_hat||^2 for mean gradients of norm at most sigma a task.

    arXiv 1901.09671: (1-q) ||grad f||^2 + (q-p) c sigma^2 / n, for g_hat and grad f divided by n.

    Raises
    ------
    UsageError: there are no groups of k c / n slots.
    """
    size = group_size(n_workers, n_tasks, c)
    p = float(uncovered_probability(n_workers, size, n_arrivals))
    q = either_uncovered_probability(n_workers, size, n_arrivals)
    return (1.0 - q) * gradient_norm**2 + (q - p) * c * sigma**2 / n_tasks


def unbiased_error(block_sums: FloatArray, n_workers: int, n_arrivals: int) -> float:
    """Return E||g_hat - g||^2 of first-copy decoding scaled by 1/(1-p).

    ((1-q)/(1-p)^2 - 1) ||g||^2 + (q-p)/(1-p)^2 sum_b ||g[b]||^2, from Lemma 3; the first factor
    is at most 0. `block_sums` as for `first_copy_moments`.
    """
    size = n_workers // len(block_sums)
    kept = 1.0 - float(uncovered_probability(n_workers, size, n_arrivals))
    _, square = first_copy_moments(block_sums, n_workers, n_arrivals)
    gradient = block_sums.sum(axis=0)
    return square / kept**2 - float(gradient @ gradient)


def uncovered_bounds(n_workers: int, n_tasks: int, c: int, n_arrivals: int) -> tuple[float, float]:
    """Return Lemma 5's bounds p <= (1 - l/k)^r <= exp(-c r / n) of arXiv 1901.09671."""
    size = n_workers * c / n_tasks
    return (1.0 - size / n_workers) ** n_arrivals, math.exp(-c * n_arrivals / n_tasks)


def covered_distribution(n_workers: int, group_size: int, n_arrivals: int) -> FloatArray:
    """Return P(r arrivals cover m of all B = k/l groups of l slots), m = 0 to B, shape (B + 1,).

    C(B, m) sum_i (-1)^i C(m, i) C((m-i) l, r) / C(k, r): inclusion and exclusion.
    """
    n_groups = n_workers // group_size
    ways = [
        math.comb(n_groups, m)
        * sum(
            (-1) ** i * math.comb(m, i) * math.comb((m - i) * group_size, n_arrivals)
            for i in range(m + 1)
        )
        for m in range(n_groups + 1)
    ]
    total = math.comb(n_workers, n_arrivals)
    return np.array([way / total for way in ways])


def covered_probability(n_workers: int, group_size: int, n_arrivals: int) -> float:
    """Return the probability that r arrivals cover all B = k/l groups of l slots.

    Inclusion and exclusion: sum_j (-1)^j C(B, j) C(k - j l, r) / C(k, r).
    """
    n_groups = n_workers // group_size
    ways: int = sum(
        (-1) ** j * math.comb(n_groups, j) * math.comb(n_workers - j * group_size, n_arrivals)
        for j in range(n_groups + 1)
    )
    return ways / math.comb(n_workers, n_arrivals)
