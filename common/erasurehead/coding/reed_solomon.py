"""Reed-Solomon gradient code: exact for any number of tasks and slots."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.layouts import holders
from erasurehead.coding.options import check_tolerance
from erasurehead.coding.precision import kept_promise
from erasurehead.errors import UsageError


def reed_solomon(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    s: int,
    nodes: Literal["unity", "chebyshev"] = "unity",
) -> GradientCode:
    """Return the code of arXiv 1706.05436 with every task on s + 1 slots, loads differing by <= 1.

    For distinct points a_1..a_k and task j with holders S_j, b_ij = prod_{l not in S_j} (a_i - a_l)
    for i in S_j: column j holds the values of a monic polynomial of degree k-s-1, whose leading
    coefficient any k - s values determine. Rows are scaled to at most 1.

    Parameters
    ----------
    s: stragglers tolerated, 0 to k - 1.
    nodes: `unity`, the k-th roots of unity, is stable and sends two vectors a result; `chebyshev`
        is real and loses about 5 digits at k = 30.

    Raises
    ------
    UsageError: s is out of range or beyond double precision, or there are slots without a task.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    check_tolerance("reed-solomon", n_workers, s)
    if n_tasks * (s + 1) < n_workers:
        raise UsageError(
            f"{n_tasks} tasks on s+1={s + 1} workers each leave some of {n_workers} workers"
            f" without one; use at least {-(-n_workers // (s + 1))} tasks"
        )
    further = "" if nodes == "unity" else "nodes=unity, which carries further, or "
    return kept_promise(lambda s: _code(n_workers, n_tasks, s, nodes), s, further)


def _code(n_workers: int, n_tasks: int, s: int, nodes: str) -> GradientCode:
    # Starts spread evenly round the slots: any window of slots sees as many starts, to within 1.
    starts = np.arange(n_tasks, dtype=np.int64) * n_workers // n_tasks
    held_by = [np.sort((start + np.arange(s + 1)) % n_workers) for start in starts]
    dense = evaluation_matrix(_points(n_workers, nodes), held_by)
    dense /= np.abs(dense).max(axis=1, keepdims=True)
    parts = (dense.real, dense.imag) if nodes == "unity" else (dense.real,)
    tasks_of_slot = holders(held_by, n_workers)
    rows = [
        (tasks, part[slot, tasks]) for slot, tasks in enumerate(tasks_of_slot) for part in parts
    ]
    return code_from_rows(
        "reed-solomon",
        rows,
        n_tasks,
        n_workers=n_workers,
        tolerance=s,
        n_vectors=len(parts),
        fewer_suffice=True,
    )


def evaluation_matrix(
    points: npt.NDArray[np.complex128], holders_of_task: list[IntArray]
) -> npt.NDArray[np.complex128]:
    """Return b_ij = prod_{l not in S_j} (a_i - a_l), shape (k, n); zero where i does not hold j."""
    k = len(points)
    dense = np.zeros((k, len(holders_of_task)), dtype=np.complex128)
    for task, slots in enumerate(holders_of_task):
        others = np.setdiff1d(np.arange(k), slots)
        dense[slots, task] = np.prod(points[slots][:, None] - points[others][None, :], axis=1)
    return dense


def _points(k: int, nodes: str) -> npt.NDArray[np.complex128]:
    if nodes == "unity":
        return np.asarray(np.exp(2j * np.pi * np.arange(k) / k))
    return np.asarray(np.cos(np.pi * (np.arange(k) + 0.5) / k), dtype=np.complex128)
