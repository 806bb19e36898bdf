"""What one run uses up of a scheme: parts that are fed with arrivals, and what they learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.coding.groups import Groups
from erasurehead.decoding.base import Decoder
from erasurehead.stopping.base import StopRule
from erasurehead.straggling.erasures import GroupErasures
from erasurehead.straggling.estimate import StragglerEstimate
from erasurehead.theory.moments import uncovered_probability


@dataclass(frozen=True, eq=False)
class Learnt:
    """What rounds teach, where the stop rule of the session counts them.

    Attributes
    ----------
    slots: how likely each slot is to straggle.
    groups: how often each group of slots is erased; None: the code has no groups.
    """

    slots: StragglerEstimate
    groups: GroupErasures | None

    @classmethod
    def begin(
        cls, code: GradientCode, stop: StopRule, slots: StragglerEstimate | None = None
    ) -> Learnt:
        """Start from what a code and a stop rule say, and from `slots` if it is there already."""
        groups = None
        if code.groups is not None:
            guess = _first_guess(code, code.groups, stop, slots)
            groups = GroupErasures(code.groups.of_symbol, guess)
        return cls(slots or _before_any_round(code, stop), groups)


@dataclass(frozen=True, eq=False)
class Session:
    """The parts of a coding that one run uses up.

    Attributes
    ----------
    decoder: weighs the arrivals of a round.
    stop: closes rounds.
    learnt: what decoder and placement follow.
    """

    decoder: Decoder
    stop: StopRule
    learnt: Learnt


def _before_any_round(code: GradientCode, stop: StopRule) -> StragglerEstimate:
    """Return an estimate that starts from 1 - r/k where the r-th arrival ends a round, else 1/2."""
    missing = 0.5 if stop.arrivals is None else 1.0 - stop.arrivals / code.n_arrivals
    missing = min(max(missing, 0.01), 0.99)
    return StragglerEstimate(code.n_workers, prior=(2.0 * missing, 2.0 * (1.0 - missing)))


def _first_guess(
    code: GradientCode, groups: Groups, stop: StopRule, slots: StragglerEstimate | None
) -> FloatArray:
    """Return how often each group is likely to be erased, before any round has shown it."""
    if stop.waits_for_all:
        return np.zeros(groups.count)
    if slots is None and stop.arrivals is not None:
        return uncovered_probability(code.n_arrivals, groups.sizes, stop.arrivals)
    p = np.full(code.n_workers, 0.5) if slots is None else slots.probabilities
    erased = np.ones(groups.count)
    np.multiply.at(erased, groups.of_symbol, np.repeat(p, code.arrivals_per_slot))
    return erased
