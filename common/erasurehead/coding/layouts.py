"""Where copies of tasks go: balanced cyclic and balanced random placements."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import IntArray
from erasurehead.errors import UsageError

ATTEMPTS = 1000


def laid_cyclically(copies: IntArray, n_tasks: int) -> list[IntArray]:
    """Return the tasks of each slot when the slots' copies are laid end to end round the tasks.

    `copies` (shape (k,), each at most n) must add up to a multiple of n for every task to get the
    same number.
    """
    starts = np.concatenate([[0], np.cumsum(copies)[:-1]])
    return [
        np.sort((start + np.arange(count)) % n_tasks)
        for start, count in zip(starts, copies, strict=True)
    ]


def holders(tasks_of_slot: list[IntArray], n_tasks: int) -> list[IntArray]:
    """Return the slots that hold each task, n arrays of shape (replication,), ascending."""
    found: list[list[int]] = [[] for _ in range(n_tasks)]
    for slot, tasks in enumerate(tasks_of_slot):
        for task in tasks:
            found[int(task)].append(slot)
    return [np.array(slots, dtype=np.int64) for slots in found]


def balanced_random(
    n_tasks: int, n_workers: int, copies: int, rng: np.random.Generator
) -> list[IntArray]:
    """Return the tasks of each slot: every task on `copies` random slots, loads equal to +-1.

    Returns k arrays of shape (load,). A random list of all copies is dealt out; a task that meets a
    slot twice swaps with a random other place until none does.

    Raises
    ------
    UsageError: more copies than slots.
    """
    if not 1 <= copies <= n_workers:
        raise UsageError(
            f"{copies} copies of a task do not fit {n_workers} workers; use 1 to {n_workers}"
        )
    total = n_tasks * copies
    deck = np.tile(np.arange(n_workers, dtype=np.int64), -(-total // n_workers))[:total]
    slots = rng.permutation(deck).reshape(n_tasks, copies)
    for _ in range(ATTEMPTS):
        clashing = [j for j in range(n_tasks) if len(set(slots[j].tolist())) < copies]
        if not clashing:
            break
        for task in clashing:
            _swap_a_repeat(slots, task, rng)
    else:
        # Nearly full replication leaves few random tables; laying them round always works.
        slots = np.arange(total).reshape(n_tasks, copies) % n_workers
    by_slot = np.argsort(slots, axis=None, kind="stable") // copies
    ends = np.cumsum(np.bincount(slots.ravel(), minlength=n_workers))
    return [np.sort(tasks) for tasks in np.split(by_slot, ends[:-1])]


def _swap_a_repeat(slots: IntArray, task: int, rng: np.random.Generator) -> None:
    """Exchange one repeated entry of a row with a place where both rows stay free of repeats."""
    row = slots[task].tolist()
    column = next((i for i, slot in enumerate(row) if slot in row[:i]), None)
    if column is None:  # an exchange with another row has already mended this one
        return
    for _ in range(20):
        other, place = int(rng.integers(len(slots))), int(rng.integers(slots.shape[1]))
        mine, theirs = row[column], int(slots[other, place])
        if other != task and theirs not in row and mine not in slots[other]:
            slots[task, column], slots[other, place] = theirs, mine
            return
