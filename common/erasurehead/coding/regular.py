"""Codes with as many copies of each task, placed at random: regular and pairwise-balanced."""

from __future__ import annotations

import math

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.layouts import balanced_random
from erasurehead.coding.options import check_load, nearest_load
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError


def regular(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: int,
) -> GradientCode:
    """Return a random c-regular bipartite placement with coefficients 1.

    arXiv 1711.06771, Section 3. n defaults to k; otherwise each task is on c k/n slots.

    Raises
    ------
    UsageError: c is out of range, or c k/n is not a whole number of copies.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    step = n_tasks // math.gcd(n_tasks, n_workers)
    fitting = range(step, n_tasks + 1, step)
    check_load("regular", n_tasks, c, fitting=fitting)
    if c not in fitting:
        raise UsageError(
            f"load c={c} on {n_workers} workers is not a whole number of copies of {n_tasks}"
            f" tasks; the nearest c that fits is {nearest_load(fitting, c)}"
        )
    placed = balanced_random(n_tasks, n_workers, c * n_workers // n_tasks, rng)
    rows = [(tasks, np.ones(len(tasks))) for tasks in placed]
    return code_from_rows("regular", rows, n_tasks, n_workers=n_workers)


@decoded_by("fixed")
def pairwise_balanced(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    d: int,
) -> GradientCode:
    """Return the stochastic gradient code: each task on d random slots with coefficient 1/d.

    arXiv 1905.05383, Section III. Columns add up to 1, so weights 1/(1-p_i) decode without bias,
    with the variance of `erasurehead.theory.decode_errors.independent_error`.

    Parameters
    ----------
    d: copies of each task, 1 to k.

    Raises
    ------
    UsageError: d is out of range, or there are slots without a task.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    if 1 <= d <= n_workers and n_tasks * d < n_workers:
        raise UsageError(
            f"{n_tasks} tasks in d={d} copies each leave some of {n_workers} workers without one;"
            f" use at least {-(-n_workers // d)} tasks or d={-(-n_workers // n_tasks)}"
        )
    placed = balanced_random(n_tasks, n_workers, d, rng)
    rows = [(tasks, np.full(len(tasks), 1.0 / d)) for tasks in placed]
    return code_from_rows("pairwise-balanced", rows, n_tasks, n_workers=n_workers)
