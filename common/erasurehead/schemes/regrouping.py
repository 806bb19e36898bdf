"""Tasks that are placed by what the rounds teach of each slot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.observing import without_groups
from erasurehead.straggling.estimate import StragglerEstimate

if TYPE_CHECKING:
    from erasurehead.schemes.scheme import BuiltScheme


@dataclass(frozen=True, eq=False)
class Placement:
    """How tasks were placed by straggler probabilities that are still being learnt.

    Attributes
    ----------
    probabilities: those that the code was built for, shape (k,); all equal to begin with.
    learnt: what the rounds teach; the stop rule of the same scheme feeds it.
    rebuild: makes the scheme anew for other probabilities; goes on with `learnt`.
    """

    probabilities: FloatArray
    learnt: StragglerEstimate
    rebuild: Callable[[FloatArray], BuiltScheme]

    def due(self, rounds: int, after_rounds: int) -> bool:
        """True when tasks are to be placed anew, `rounds` after they were placed last.

        `after_rounds` must have passed (0: never), and what was learnt must differ from what the
        code was built for by more than chance explains. Equal probabilities place tasks alike,
        however large they are, so that slots must differ from each other then.
        """
        if not 0 < after_rounds <= rounds:
            return False
        built_for = self.probabilities
        if np.ptp(built_for) == 0.0:
            built_for = np.full_like(built_for, self.learnt.common)
        return self.learnt.has_moved_from(built_for)


class Placed(Protocol):
    """A scheme for one cluster: a `BuiltScheme`, or a plan that holds its parts."""

    @property
    def code(self) -> GradientCode:
        """Who computes what."""

    @property
    def stop(self) -> StopRule:
        """The rule in force, with what it has learnt."""

    @property
    def estimate(self) -> str:
        """The gradient estimate's text."""

    @property
    def placement(self) -> Placement | None:
        """There if tasks are placed by straggler probabilities that the rounds teach."""


def regrouped(parts: Placed, probabilities: FloatArray) -> BuiltScheme:
    """Return the scheme with its tasks placed for other straggler probabilities, shape (k,).

    Slots and tasks stay what they are. What was learnt of each slot goes on, and all else that the
    stop rule knows of more than groups, unless it belongs to a memory that is lost
    (`remember_alike`).

    Raises
    ------
    UsageError: there is no such code.
    """
    assert parts.placement is not None, "tasks are placed by nothing that is learnt"
    built = parts.placement.rebuild(probabilities)
    if remember_alike(parts, built):
        built.stop.load_state(without_groups(parts.stop.state()))
    return built


def same_tasks(one: GradientCode, other: GradientCode) -> bool:
    """True when every slot computes the same under both codes."""
    return bool((one.matrix != other.matrix).nnz == 0)


def remember_alike(one: Placed, other: Placed) -> bool:
    """True when gradient estimate and stop rule remember the same things under both codes.

    A cached estimate remembers what each block amounts to, which is the same whoever computes it;
    or, for codes without blocks, what each slot sent.
    """
    if one.estimate == other.estimate == "sum":
        return True
    a, b = one.code.groups, other.code.groups
    return a is not None and b is not None and np.array_equal(a.of_task, b.of_task)
