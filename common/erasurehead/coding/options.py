"""Checks and number lists that several codes' options share."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.probabilities import away_from_certainty


class UnknownProbabilitiesError(UsageError):
    """A code places its tasks by straggler probabilities, and neither has nor was told any."""


def numbers(text: str, count: int, what: str) -> FloatArray:
    """Read one number for all slots, or one a slot separated by slashes: ``0.1/0.2/0.4``.

    Returns
    -------
    Shape (count,).

    Raises
    ------
    UsageError: not numbers, or neither one nor `count` of them.
    """
    try:
        values = np.array([float(piece) for piece in text.split("/")])
    except ValueError:
        raise UsageError(f"{what}={text} is not a list of numbers like 0.1/0.2/0.4") from None
    if len(values) == 1:
        values = np.repeat(values, count)
    if len(values) != count:
        raise UsageError(
            f"{what} lists {len(values)} numbers for {count} workers; give one number for all or"
            " one for each"
        )
    return values


def straggler_probabilities(
    n_workers: int, text: str | None, known: FloatArray | None, what: str
) -> FloatArray:
    """Return p of each slot, shape (k,): the option's if given, else the context's.

    Raises
    ------
    UnknownProbabilitiesError: neither is there.
    UsageError: a probability is not strictly between 0 and 1.
    """
    if text is not None:
        known = numbers(text, n_workers, "p")
    if known is None:
        raise UnknownProbabilitiesError(
            f"{what} needs the workers' straggler probabilities; give them as p=0.3 or"
            " p=0.1/0.2/... with one for each worker"
        )
    return checked_probabilities(known, n_workers)


def checked_probabilities(p: FloatArray, n_workers: int) -> FloatArray:
    """Return p, shape (k,), moved into [1e-4, 1 - 1e-4], or raise UsageError for other numbers."""
    if len(p) != n_workers:
        raise UsageError(f"{len(p)} straggler probabilities do not fit {n_workers} workers")
    bad = np.flatnonzero(~((p > 0) & (p < 1)))
    if len(bad):
        raise UsageError(
            f"straggler probability {p[bad[0]]:g} of worker {bad[0]} must be strictly between 0"
            " and 1; a worker that never straggles can be given 0.0001"
        )
    return away_from_certainty(p)


def same_as_workers(code: str, n_workers: int, n_tasks: int | None) -> int:
    """Return n = k, or raise UsageError for a code that has as many tasks as slots."""
    if n_tasks is not None and n_tasks != n_workers:
        raise UsageError(
            f"code '{code}' has as many tasks as workers, and {n_tasks} tasks are not"
            f" {n_workers} workers; leave tasks out or make them {n_workers}"
        )
    return n_workers


def check_tolerance(code: str, n_workers: int, s: int) -> None:
    """Raise UsageError unless 0 <= s < k."""
    if not 0 <= s < n_workers:
        raise UsageError(
            f"code '{code}' cannot tolerate s={s} stragglers of {n_workers} workers; s must be 0"
            f" to {n_workers - 1}"
        )


def check_load(code: str, n_tasks: int, c: float, fitting: Iterable[int] | None = None) -> None:
    """Raise UsageError unless 1 <= c <= n.

    Parameters
    ----------
    fitting: loads that the code takes, where not every one from 1 to n will do.
    """
    if not (math.isfinite(c) and 1 <= c <= n_tasks):
        nearest = None if fitting is None else nearest_load(fitting, c)
        raise UsageError(
            f"code '{code}' cannot put c={c:g} of {n_tasks} tasks on a worker;"
            + (
                f" c must be 1 to {n_tasks}"
                if nearest is None
                else f" the nearest c that fits is {nearest}"
            )
        )


def nearest_load(fitting: Iterable[int], c: float) -> int | None:
    """Return the load nearest to c among those that fit, ascending; None if there is none."""
    loads = list(fitting)
    if c == math.inf:
        return loads[-1] if loads else None
    return min(loads, key=lambda load: abs(load - c), default=None)
