"""Fractional repetition: groups of slots with identical tasks."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.balance import balanced_groups
from erasurehead.coding.base import GradientCode, repetition_code
from erasurehead.coding.groups import Groups
from erasurehead.coding.options import straggler_probabilities
from erasurehead.coding.partition import blocks_of
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError

USUAL_SLOTS = 3
"""That answer for a block, unless the user says how many tasks a slot holds."""


@decoded_by("first-copy:scale=coverage")
def frc(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: int | None = None,
    groups: Literal["shuffled", "consecutive", "balanced"] = "shuffled",
    p: str | None = None,
    parts: Literal["whole", "tasks"] = "whole",
) -> GradientCode:
    """Return the fractional repetition code with about `c` tasks a slot.

    The n tasks (default k) are cut into B consecutive blocks, B the whole number nearest n/c, and
    the slots into B groups; every slot of group b sends the plain sum of block b. Blocks have
    floor(n/B) or ceil(n/B) tasks, groups floor(k/B) or ceil(k/B) slots. Any min(group size) - 1
    stragglers are tolerated. When c divides n and n/c divides k this is FRC(n, k, c) of
    arXiv 1612.03301, Section 3, and arXiv 1901.09671, Section 2, with groups of kc/n slots.

    Parameters
    ----------
    c: tasks per slot; default: as many as make B = k/3, rounded, but 2 blocks at least (3 tasks per
        slot where there are as many tasks as slots, and 5 slots or more).
    groups: `shuffled` deals the slots to the groups in an order drawn from `rng`, so that
        neighbouring slots (often on one machine) do not share a group; `consecutive` does not;
        `balanced` puts reliable slots together with unreliable ones, so that every block is
        answered about equally often (`erasurehead.coding.balance`).
    p: straggler probabilities for `balanced`, ``0.3`` or ``0.1/0.2/...``; default: those known.
    parts: `whole`: a slot answers with the sum over its block, at the end; `tasks`: with the
        gradient of each task as soon as it is done, and the slots of a group begin with different
        tasks (as arXiv 2405.19509). All blocks then have c tasks, and n defaults to c B.

    Raises
    ------
    UsageError: no such code; the sentence names the nearest loads there are. Or `balanced`
        without probabilities, or p without `balanced`; or n tasks that make blocks of different
        sizes, of which single tasks are to be sent.
    """
    asked_tasks = n_tasks
    n_tasks = n_workers if n_tasks is None else n_tasks
    n_blocks = usual_count(n_workers, n_tasks)
    if c is not None:
        n_blocks = block_count(n_workers, n_tasks, c)
    if parts == "tasks":
        n_tasks = _whole_blocks(asked_tasks, n_blocks, c or _nearest(n_tasks, n_blocks))
    if groups == "balanced":
        what = "groups=balanced of code 'frc'"
        known = straggler_probabilities(n_workers, p, probabilities, what)
        group_of_slot = balanced_groups(known, n_blocks)
    else:
        if p is not None:
            raise UsageError(
                f"p={p} of code 'frc' is for groups=balanced, and groups are {groups}; leave it"
                " out or add groups=balanced"
            )
        group_of_slot = blocks_of(n_workers, n_blocks)
        if groups == "shuffled":
            group_of_slot = rng.permutation(group_of_slot)
    if parts == "tasks":
        return _task_by_task(group_of_slot, n_tasks // n_blocks)
    return repetition_code("frc", Groups(group_of_slot, blocks_of(n_tasks, n_blocks)))


def _whole_blocks(asked_tasks: int | None, n_blocks: int, c: int) -> int:
    """Return the number of tasks that make blocks of equal sizes: the one asked for, or c B.

    Raises
    ------
    UsageError: the tasks asked for do not make blocks of c.
    """
    if asked_tasks is None:
        return c * n_blocks
    if asked_tasks != c * n_blocks:
        raise UsageError(
            f"{asked_tasks} tasks do not make blocks of {c} tasks each, as parts=tasks of code"
            f" 'frc' needs them; use {c * n_blocks} tasks, or leave the number of tasks out"
        )
    return asked_tasks


def _task_by_task(block_of_slot: IntArray, c: int) -> GradientCode:
    """Return the code whose slots send the c tasks of their blocks one by one.

    The slots of a group begin at places that are spread evenly over its block.
    """
    copies = np.bincount(block_of_slot)
    seen = np.zeros(len(copies), dtype=np.int64)
    of_symbol = np.empty((len(block_of_slot), c), dtype=np.int64)
    for slot, block in enumerate(block_of_slot):
        begin = seen[block] * c // copies[block]
        of_symbol[slot] = c * block + (begin + np.arange(c)) % c
        seen[block] += 1
    groups = Groups(of_symbol.ravel(), np.arange(c * len(copies), dtype=np.int64))
    return repetition_code("frc", groups, n_parts=c)


def usual_count(n_workers: int, n_tasks: int) -> int:
    """Return how many blocks three slots each make, at least two of them if there can be."""
    return min(max(2, _nearest(n_workers, USUAL_SLOTS)), n_workers, n_tasks)


def block_count(n_workers: int, n_tasks: int, c: int) -> int:
    """Return B, the whole number nearest n/c.

    Raises
    ------
    UsageError: c is not in 1..n, or there would be more blocks than slots.
    """
    least = next(c for c in range(1, n_tasks + 1) if _nearest(n_tasks, c) <= n_workers)
    if not 1 <= c <= n_tasks:
        raise UsageError(
            f"load c={c} does not fit {n_tasks} tasks on {n_workers} workers;"
            f" c can be {least} to {n_tasks}"
        )
    n_blocks = _nearest(n_tasks, c)
    if n_blocks > n_workers:
        raise UsageError(
            f"load c={c} cuts {n_tasks} tasks into {n_blocks} blocks, more than the {n_workers}"
            f" workers; the nearest c that fits is {least}"
        )
    return n_blocks


def least_load(n_workers: int, n_tasks: int, s: int) -> int:
    """Return the least c with which any s < k stragglers leave a slot in every group."""
    return next(c for c in range(1, n_tasks + 1) if n_workers // max(1, _nearest(n_tasks, c)) > s)


def _nearest(n_tasks: int, c: int) -> int:
    return math.floor(n_tasks / c + 0.5)
