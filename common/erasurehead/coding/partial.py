"""Partial gradient codes: a private part sent at once, a coded part against stragglers."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.cyclic import cyclic_repetition
from erasurehead.coding.frc import frc
from erasurehead.coding.options import check_tolerance
from erasurehead.errors import UsageError

MOST_PRIVATE_TASKS = 10_000
"""Of a worker; more would be rows rather than tasks."""


def partial(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    s: int,
    alpha: float,
    inner: Literal["frc", "cyclic-repetition"] = "frc",
) -> GradientCode:
    """Return the partial gradient code of arXiv 1612.03301, Section 5: two results a round.

    Where a straggler is at most `alpha` times slower, it is not lost but late. Each slot first
    sends the sum of m = (s+1)/(alpha-1) private tasks, then one symbol of an inner code with load
    s + 1 over k shared tasks; n = k(m + 1). All private parts and k - s coded parts are needed, so
    a slot that never answers is not tolerated.

    Parameters
    ----------
    s: slots whose coded part is not waited for.
    alpha: slow-down of a straggler, above 1, with (s+1)/(alpha-1) a whole number.
    inner: the code of the shared tasks; `frc` needs s + 1 to divide k.

    Raises
    ------
    UsageError: no whole m, a number of tasks that is not n, or no such inner code.
    """
    check_tolerance("partial", n_workers, s)
    n_private = _private_tasks(s, alpha)
    n_needed = n_workers * (n_private + 1)
    if n_tasks is not None and n_tasks != n_needed:
        raise UsageError(
            f"code 'partial' with s={s} and alpha={alpha:g} has {n_needed} tasks for {n_workers}"
            f" workers, not {n_tasks}; leave tasks out or make them {n_needed}"
        )
    if inner == "frc":
        if n_workers % (s + 1):
            fitting = [d - 1 for d in range(1, n_workers + 1) if n_workers % d == 0]
            raise UsageError(
                f"groups of s+1={s + 1} do not divide {n_workers} workers; the nearest s that"
                f" fits is {min(fitting, key=lambda t: abs(t - s))}, or use"
                " inner=cyclic-repetition"
            )
        coded = frc(n_workers, None, rng, c=s + 1)
    else:
        coded = cyclic_repetition(n_workers, None, rng, s=s)
    rows: list[tuple[IntArray, FloatArray]] = []
    for slot in range(n_workers):
        first = slot * n_private
        tasks, coefficients = coded.row(slot)
        rows.append((np.arange(first, first + n_private), np.ones(n_private)))
        rows.append((n_workers * n_private + tasks, coefficients))
    return code_from_rows("partial", rows, n_needed, n_workers=n_workers, n_parts=2)


def _private_tasks(s: int, alpha: float) -> int:
    """Return m = (s+1)/(alpha-1), or raise UsageError naming the nearest alpha that has one."""
    if not (math.isfinite(alpha) and alpha > 1):
        raise UsageError(
            f"alpha={alpha:g} is no slow-down of a straggler; it must be above 1, for example 2"
        )
    share = (s + 1) / (alpha - 1)
    if share > MOST_PRIVATE_TASKS:
        raise UsageError(
            f"s={s} and alpha={alpha:.12g} give {share:.3g} private tasks a worker, more than"
            f" {MOST_PRIVATE_TASKS:,}; the nearest alpha that fits is"
            f" {1 + (s + 1) / MOST_PRIVATE_TASKS:.12g}"
        )
    private = max(1, round(share))
    if abs(share - private) > 1e-6 * private:
        raise UsageError(
            f"s={s} and alpha={alpha:g} give (s+1)/(alpha-1) = {share:g} private tasks a worker,"
            f" not a whole number; the nearest alpha that fits is {1 + (s + 1) / private:g}"
        )
    return private
