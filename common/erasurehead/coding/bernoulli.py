"""Sparse random codes with independent entries: Bernoulli, regularised Bernoulli, stochastic block.

They hide their structure from an adversary who picks the stragglers; against random stragglers
fractional repetition has less error at the same load.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.options import check_load, nearest_load
from erasurehead.coding.partition import blocks_of
from erasurehead.errors import UsageError

NEAR_LOAD = 0.15
"""Share of its load by which a code of uneven communities may miss it on average."""


def bernoulli(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: float,
) -> GradientCode:
    """Return the Bernoulli gradient code: a slot holds each task with probability c/n.

    arXiv 1711.06771, Section 5. All coefficients are 1. A slot left empty is given one random
    task, so that it has something to answer; a task may be on no slot.

    Parameters
    ----------
    c: expected tasks per slot, 1 to n.

    Raises
    ------
    UsageError: c is out of range.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    check_load("bernoulli", n_tasks, c)
    return _ones("bernoulli", rng.random((n_workers, n_tasks)) < c / n_tasks, rng)


def regularized_bernoulli(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: float,
) -> GradientCode:
    """Return a Bernoulli code in which slots with more than 2c tasks are thinned to c.

    arXiv 1711.06771, Section 5.2: keeps the worst case bounded for small loads.

    Parameters
    ----------
    c: expected tasks per slot before thinning, 1 to n.

    Raises
    ------
    UsageError: c is out of range.
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    check_load("regularized-bernoulli", n_tasks, c)
    held = rng.random((n_workers, n_tasks)) < c / n_tasks
    for slot in np.flatnonzero(held.sum(axis=1) > 2 * c):
        tasks = np.flatnonzero(held[slot])
        held[slot, rng.permutation(tasks)[round(c) :]] = False
    return _ones("regularized-bernoulli", held, rng)


def stochastic_block(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    c: float,
    inside: float = 0.5,
) -> GradientCode:
    """Return the stochastic block code: dense inside communities, sparse between them.

    arXiv 1805.10378. Tasks and slots are cut into B = round(n/c) communities; a slot holds a task
    of its own community with probability `inside`, any other with the probability that makes the
    expected load c. inside = 1 is near fractional repetition, inside = c/n is the Bernoulli code.

    Raises
    ------
    UsageError: a load that does not fit or is out of reach with `inside`, or a probability outside
        (0, 1].
    """
    n_tasks = n_workers if n_tasks is None else n_tasks
    if not 0 < inside <= 1:
        raise UsageError(f"inside={inside:g} is no probability; it must be above 0 and at most 1")
    reached = (
        x for x in range(1, n_tasks + 1) if _is_near(x, _loads(n_workers, n_tasks, x, inside)[2])
    )
    check_load("stochastic-block", n_tasks, c, fitting=reached)
    n_own, outside, expected = _loads(n_workers, n_tasks, c, inside)
    if not _is_near(c, expected):
        # The largest community then has c tasks of its own, and any other is filled up to c.
        enough = min(1.0, c / float(n_own.max()))
        nearest = nearest_load(reached, c)
        raise UsageError(
            f"code 'stochastic-block' with c={c:g} makes communities of"
            f" {float(n_own.mean()):.3g} of {n_tasks} tasks, and inside={inside:g} a load of"
            f" {expected:g}; use inside={enough:.2g}"
            + ("" if nearest is None else f" or c={nearest}")
        )
    n_blocks = _communities(n_workers, n_tasks, c)
    own = blocks_of(n_workers, n_blocks)[:, None] == blocks_of(n_tasks, n_blocks)[None, :]
    held = rng.random((n_workers, n_tasks)) < np.where(own, inside, outside[:, None])
    return _ones("stochastic-block", held, rng)


def _communities(n_workers: int, n_tasks: int, c: float) -> int:
    return min(max(1, round(n_tasks / c)), n_workers)


def _loads(
    n_workers: int, n_tasks: int, c: float, inside: float
) -> tuple[FloatArray, FloatArray, float]:
    """Return the tasks of each slot's community, shape (k,); its probability of any other task, so
    that the load is c if it can be; and the mean load."""
    n_blocks = _communities(n_workers, n_tasks, c)
    sizes = np.bincount(blocks_of(n_tasks, n_blocks), minlength=n_blocks).astype(np.float64)
    n_own = sizes[blocks_of(n_workers, n_blocks)]
    n_others = n_tasks - n_own
    outside = np.clip((c - inside * n_own) / np.maximum(n_others, 1), 0.0, 1.0)
    return n_own, outside, float(np.mean(inside * n_own + outside * n_others))


def _is_near(c: float, load: float) -> bool:
    return abs(load - c) <= NEAR_LOAD * c


def _ones(name: str, held: npt.NDArray[np.bool_], rng: np.random.Generator) -> GradientCode:
    """Return the code with coefficient 1 wherever `held`, shape (k, n); no slot is left idle."""
    n_workers, n_tasks = held.shape
    for slot in np.flatnonzero(~held.any(axis=1)):
        held[slot, rng.integers(n_tasks)] = True
    rows = [(np.flatnonzero(row), np.ones(int(row.sum()))) for row in held]
    return code_from_rows(name, rows, n_tasks, n_workers=n_workers)
