"""Placing tasks by straggler probabilities that are learnt during the run."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.session import Session
from erasurehead.stopping.observing import without_groups
from erasurehead.straggling.estimate import StragglerEstimate


def is_due(
    placed_by: FloatArray, learnt: StragglerEstimate, rounds: int, after_rounds: int
) -> bool:
    """Return True when tasks are to be placed again, `rounds` after they were placed last.

    `after_rounds` must have passed (0: never), and what was learnt must differ from the
    probabilities that tasks were `placed_by`, shape (k,), which were learnt before those rounds,
    more than chance explains. Equal probabilities place tasks alike, however large they are, so
    that slots must differ from each other then.
    """
    if not 0 < after_rounds <= rounds:
        return False
    if np.ptp(placed_by) == 0.0:
        return learnt.has_moved_from(np.full_like(placed_by, learnt.common))
    return learnt.has_moved_from(placed_by, rounds)


def go_on(session: Session, old: Coding, new: Coding) -> Session:
    """Begin the session of a new placement with what the old one has learnt.

    What was learnt of each slot goes on, and all else that the stop rule knows of more than groups,
    unless it belongs to a memory that is lost (`remember_alike`).
    """
    begun = new.begin(session.learnt.slots)
    if remember_alike(old, new):
        begun.stop.load_state(without_groups(session.stop.state()))
    return begun


def same_tasks(one: GradientCode, other: GradientCode) -> bool:
    """Return True when every slot computes the same under both codes."""
    return bool((one.matrix != other.matrix).nnz == 0)


def remember_alike(one: Coding, other: Coding) -> bool:
    """Return True when gradient estimate and stop rule remember the same things under both codes.

    A cached estimate remembers what each block amounts to, whichever slot computes it; or, for
    codes without blocks, what each slot sent.
    """
    if not one.remembers and not other.remembers:
        return True
    a, b = one.code.groups, other.code.groups
    return a is not None and b is not None and np.array_equal(a.of_task, b.of_task)
