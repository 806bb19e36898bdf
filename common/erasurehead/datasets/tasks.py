"""Training rows cut into tasks."""

from __future__ import annotations

from itertools import pairwise

from erasurehead.errors import UsageError


def task_ranges(n_rows: int, n_tasks: int) -> list[tuple[int, int]]:
    """Cut rows into tasks: first and past-the-end row of each, sizes differing by at most one.

    Raises
    ------
    UsageError: more tasks than rows.
    """
    if n_tasks > n_rows:
        raise UsageError(
            f"{n_tasks} tasks cannot be cut from {n_rows} training rows, of which each needs one;"
            f" give --workers {n_rows} or fewer, or --tasks {n_rows} with a code that takes it"
        )
    bounds = [n_rows * i // n_tasks for i in range(n_tasks + 1)]
    return list(pairwise(bounds))
