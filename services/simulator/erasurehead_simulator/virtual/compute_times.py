"""How long virtual workers compute."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.settings.tree import RunSettings


def compute_times_s(code: GradientCode, pass_s: float) -> FloatArray:
    """Return the seconds each slot computes for each part of its result, shape (k, parts).

    Computing is proportional to the rows of the tasks that a part sums up, and tasks have equally
    many rows.

    Parameters
    ----------
    pass_s: seconds in which one worker would compute the gradient of all training rows.

    Raises
    ------
    UsageError: `pass_s` is negative or not finite.
    """
    check_pass(pass_s)
    if code.symbols_per_slot == 1:
        return pass_s * (code.loads / code.n_tasks)[:, np.newaxis]
    tasks = [
        [
            len(np.unique(np.concatenate([code.row(s)[0] for s in code.symbols(slot, part)])))
            for part in range(code.n_parts)
        ]
        for slot in range(code.n_workers)
    ]
    return pass_s * np.array(tasks, dtype=np.float64) / code.n_tasks


def round_pass_s(settings: RunSettings, pass_s: float) -> float:
    """Return the seconds in which one worker would compute what a round asks of all training rows.

    `pass_s` is for all the rows themselves, of which a round may use a share.
    """
    return settings.descent.batch * pass_s


def check_pass(pass_s: float) -> None:
    """Raise UsageError unless this many seconds can be spent on a pass over all rows."""
    if not (isinstance(pass_s, Real) and math.isfinite(pass_s) and pass_s >= 0):
        said = f"{pass_s:g}" if isinstance(pass_s, Real) else pass_s
        raise UsageError(f"a pass over all rows cannot take {said} s; give 0 or more seconds")
