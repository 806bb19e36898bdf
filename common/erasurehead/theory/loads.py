"""How many copies, or how many workers, a goal needs at least."""

from __future__ import annotations

import math


def least_exact_load(n_workers: int, n_tasks: int, stragglers: int) -> float:
    """Return n (s+1)/k: tasks per slot to tolerate any s stragglers (arXiv 1612.03301, Thm 1)."""
    return n_tasks * (stragglers + 1) / n_workers


def random_straggler_load(n_workers: int, stragglers: int, error: float | None = None) -> float:
    """Return the order of the load that random stragglers need.

    arXiv 1901.08166: log(k)/log(k/s) to decode exactly with high probability, attained by
    fractional repetition; log(1/epsilon)/log(k/s) for a decode error of epsilon. No load helps if
    all are stragglers.
    """
    if stragglers == 0:
        return 1.0
    if stragglers == n_workers:
        return math.inf
    goal = n_workers if error is None else 1.0 / error
    return math.log(goal) / math.log(n_workers / stragglers)


def coupon_arrivals(n_batches: int) -> float:
    """Return B H_B, the expected arrivals until every batch of a coupon collector code is in.

    arXiv 1710.09990, Theorem 1, for as many slots as it takes.
    """
    return n_batches * harmonic(n_batches)


def harmonic(n: int) -> float:
    """Return H_n = 1 + 1/2 + ... + 1/n."""
    return math.fsum(1.0 / i for i in range(1, n + 1))
