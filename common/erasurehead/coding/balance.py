"""Groups of slots that are erased as rarely as possible, given how often each slot straggles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from erasurehead.arrays import FloatArray, IntArray

MOST_PAIRS, MOST_PASSES = 2000, 20
"""Pairs of groups that a pass looks at, and passes. A master regroups tasks between two rounds, so
it must not take long, and with many groups the first pairs leave little to gain."""


def balanced_groups(probabilities: FloatArray, n_groups: int) -> IntArray:
    """Return the group of each slot, shape (k,), keeping sum_b q_b/(1-q_b) small.

    q_b, the product of the group's straggler probabilities, is how often all of it is late; the
    sum is the variance of first-copy decoding with weights 1/(1-q_b) and blocks of equal norm.
    Groups have floor(k/B) or ceil(k/B) slots. Longest-processing-time-first on -log p, then
    pairwise exchanges while they help, of the weakest groups if there are many (Graham, "Bounds on
    multiprocessing timing anomalies", 1969, for the first part).

    Parameters
    ----------
    probabilities: p of each slot, within (0, 1), shape (k,).
    n_groups: B, 1 to k.
    """
    strength = -np.log(probabilities)
    small, n_larger = divmod(len(strength), n_groups)
    group = np.zeros(len(strength), dtype=np.int64)
    total, size = np.zeros(n_groups), np.zeros(n_groups, dtype=np.int64)
    for slot in np.argsort(-strength, kind="stable"):
        may_grow = np.count_nonzero(size > small) < n_larger
        room = size < small + may_grow
        b = int(np.argmin(np.where(room, total, np.inf)))
        group[slot] = b
        total[b] += strength[slot]
        size[b] += 1
    _exchange(group, strength, total)
    return group


def erasure_cost(total_strength: FloatArray) -> FloatArray:
    """Return q/(1-q) for q = exp(-strength), of the same shape."""
    return 1.0 / np.expm1(total_strength)


def _exchange(group: IntArray, strength: FloatArray, total: FloatArray) -> None:
    """Swap two slots of different groups in place as long as the cost falls."""
    for _ in range(MOST_PASSES):
        improved = False
        for b, other in _pairs(total):
            mine, theirs = np.flatnonzero(group == b), np.flatnonzero(group == other)
            moved = strength[theirs][None, :] - strength[mine][:, None]
            cost = erasure_cost(total[b] + moved) + erasure_cost(total[other] - moved)
            i, j = np.unravel_index(int(np.argmin(cost)), cost.shape)
            now = float(erasure_cost(total[[b, other]]).sum())
            if cost[i, j] < now * (1.0 - 1e-9):
                group[mine[i]], group[theirs[j]] = other, b
                total[b] += moved[i, j]
                total[other] -= moved[i, j]
                improved = True
        if not improved:
            return


def _pairs(total: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield pairs of groups: all, or of so many groups the weakest with all others."""
    n = len(total)
    if n * (n - 1) // 2 <= MOST_PAIRS:
        yield from itertools.combinations(range(n), 2)
        return
    for weak in np.argsort(total, kind="stable")[: max(1, MOST_PAIRS // n)].tolist():
        yield from ((weak, other) for other in range(n) if other != weak)
