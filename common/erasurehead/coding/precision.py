"""What codes with large coefficients promise on paper, and double precision does not keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from erasurehead.coding.amplification import TRIES, StragglerSets, is_searched
from erasurehead.coding.base import GradientCode
from erasurehead.coding.frc import least_load
from erasurehead.errors import UsageError

ROUNDING = 1e-14
"""Decode errors ||alpha - 1||^2 / n up to this count as exact, as `decoding.base.EXACT_ERROR`."""

PLACED_WORKERS = 1000
"""At so many places times workers, and at two at least, is a code tried."""

MOST_WORKERS = 1000
"""More are not checked: solving takes the third power of their number."""


def kept_promise(build: Callable[[int], GradientCode], s: int, or_else: str = "") -> GradientCode:
    """Return build(s) if any s stragglers still leave the full gradient in double precision.

    Neighbouring slots are the worst stragglers of cyclic MDS codes, so s in a row are tried at many
    places (of large codes at two); the worst ones of random codes are scattered and have to be
    searched for, from a random set.

    Parameters
    ----------
    build: makes the code of a tolerance; for others than s it may raise UsageError.
    or_else: what else helps, ending in "or"; a repetition code always does.

    Raises
    ------
    UsageError: some of these sets cannot be decoded.
    """
    code = build(s)
    if s == 0 or code.n_workers > MOST_WORKERS or _decodes(code, s):
        return code
    c = least_load(code.n_workers, code.n_tasks, s)
    raise UsageError(
        f"code '{code.name}' for {code.n_workers} workers cannot keep its promise to tolerate any"
        f" s={s} stragglers: in double precision some sets of them leave no exact gradient; use"
        f" s={_largest(build, s)} or {or_else}frc:c={c}"
    )


def _largest(build: Callable[[int], GradientCode], s: int) -> int:
    """Return the largest tolerance below s that is kept, by bisection."""
    kept, lost = 0, s
    while lost - kept > 1:
        middle = (kept + lost) // 2
        code = _first_below(build, middle, kept)
        if code is not None and _decodes(code, code.tolerance):
            kept = code.tolerance
        else:
            lost = middle
    return kept


def _first_below(build: Callable[[int], GradientCode], s: int, least: int) -> GradientCode | None:
    """Return the code of tolerance s or the next smaller one that exists above `least`."""
    for smaller in range(s, least, -1):
        try:
            return build(smaller)
        except UsageError:
            continue
    return None


def _decodes(code: GradientCode, s: int) -> bool:
    k = code.n_workers
    sets = StragglerSets(code, s, np.random.default_rng(0))
    late = sets.neighbours(max(2, PLACED_WORKERS // k))
    (scattered,) = sets.random(1)
    late.append(sets.exchanged(scattered, TRIES) if is_searched(k, s) else scattered)
    return all(sets.decode_error(each) <= ROUNDING for each in late)
