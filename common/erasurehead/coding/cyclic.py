"""Cyclic repetition: slot i holds tasks i..i+s with coefficients that tolerate any s stragglers."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.options import check_tolerance, same_as_workers
from erasurehead.coding.precision import kept_promise


def cyclic_repetition(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    s: int,
) -> GradientCode:
    """Return the cyclic repetition code of arXiv 1612.03301, Algorithms 1 and 2.

    n = k, load s + 1. The rows lie in the null space of a random s x k matrix H with H 1 = 0, so
    any k - s of them span 1 with probability one. Its decode weights are large (1e5 at k = 12,
    s = 3): prefer the real `cyclic-mds` where that exists. The complex one amplifies rounding more
    as k and s grow (docs/codes-measured.md).

    Parameters
    ----------
    s: stragglers tolerated, 0 to k - 1.

    Raises
    ------
    UsageError: n is not k, or s is out of range, or beyond double precision.
    """
    n_tasks = same_as_workers("cyclic-repetition", n_workers, n_tasks)
    check_tolerance("cyclic-repetition", n_workers, s)
    return kept_promise(lambda s: _drawn(n_workers, s, rng), s)


def _drawn(n_workers: int, s: int, rng: np.random.Generator) -> GradientCode:
    H = rng.standard_normal((s, n_workers))
    H[:, -1] = -H[:, :-1].sum(axis=1)
    return cyclic_code_from_null_space("cyclic-repetition", H)


def cyclic_code_from_null_space(name: str, H: FloatArray) -> GradientCode:
    """Return the code whose row i is supported on i..i+s (mod k) and lies in the null space of H.

    H has shape (s, k) and H 1 = 0, and is drawn at random; the first coefficient of each row is 1.
    """
    s, k = H.shape
    rows: list[tuple[IntArray, FloatArray]] = []
    for slot in range(k):
        tasks = np.arange(slot, slot + s + 1) % k
        rest = -np.linalg.solve(H[:, tasks[1:]], H[:, tasks[0]]) if s else np.zeros(0)
        rows.append((tasks, np.concatenate([[1.0], rest])))
    return code_from_rows(name, rows, k, n_workers=k, tolerance=s, fewer_suffice=False)


def cyclic_tasks(slot: int, load: int, n_tasks: int) -> IntArray:
    """Return the tasks slot, slot + 1, ..., slot + load - 1 (mod n), shape (load,)."""
    return np.arange(slot, slot + load, dtype=np.int64) % n_tasks
