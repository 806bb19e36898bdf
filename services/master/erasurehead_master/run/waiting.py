"""What the method of a run will be, and want, known without a model and without rows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.estimating.base import GradientEstimate
from erasurehead.optimizing.base import Method, Problem
from erasurehead.optimizing.choosing import Chosen, choose
from erasurehead.optimizing.elastic_net import make_penalty
from erasurehead.optimizing.finding import Ages
from erasurehead.optimizing.making import make_method
from erasurehead.optimizing.penalty import NONE
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import shortest
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.round_kinds import kind_of_rounds

Overdue = Callable[[Ages, int | None], Collection[int]]
"""`Method.overdue`: the units without which a round must not close."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of a run's method before there is a model.

    Attributes
    ----------
    optimizer: as a user would write it, never ``auto``.
    overdue: which units the method waits for; None: it does not look at units.
    """

    optimizer: str
    overdue: Overdue | None


def prospect(settings: RunSettings, coding: Coding) -> Prospect:
    """Return which method a run takes with a coding, if the curvature of its model has a bound.

    Raises
    ------
    UsageError: an unknown optimizer or option, or a value out of range; or the method does not go
        with the coding.
    """
    estimate = coding.estimate(1)
    rounds = kind_of_rounds(coding, estimate, whole=settings.descent.batch == 1.0)
    penalty, descent = make_penalty(settings.problem.l1, 0.0, NONE), settings.descent
    chosen = choose(descent.optimizer, descent.step, rounds, bounded=True, smooth=penalty.smooth)
    method, _ = make_method(chosen.optimizer, "1", Problem(np.zeros(1), penalty, _One(), rounds))
    check_fits(method, estimate, chosen, coding, descent.batch)
    return Prospect(chosen.optimizer, method.overdue if method.follows_units else None)


def check_fits(
    method: Method, estimate: GradientEstimate, chosen: Chosen, coding: Coding, batch: float
) -> None:
    """See that a method can do something with the rounds of a coding.

    Parameters
    ----------
    batch: share of its rows that a task uses in a round.

    Raises
    ------
    UsageError: it follows units and there are none to follow; something compares gradients of
        different rows; or the method needs estimates without a bias, and they have one.
    """
    if batch < 1.0 and estimate.memory is not None:
        raise UsageError(
            f"--batch {batch:g} takes other rows in every round, and scheme"
            f" '{shortest(coding.scheme)}' remembers gradients of earlier rounds; take a scheme"
            " without a cache, for example agc:c=2,delta=0.2, or leave --batch out"
        )
    if batch < 1.0 and method.needs_exact_rounds:
        raise UsageError(
            f"--batch {batch:g} takes other rows in every round, and optimizer"
            f" '{chosen.optimizer}' learns from how the gradient of all rows changes; take adam,"
            " momentum or gradient-descent, or leave --batch out"
        )
    if method.needs_unbiased_rounds and not coding.unbiased:
        raise UsageError(
            f"optimizer '{chosen.optimizer}' divides by what gradients vary, so that a bias never"
            f" averages out, and those of scheme '{shortest(coding.scheme)}' have one: take agc"
            " without cache=sag, uncoded:r=... or an exact scheme, or --optimizer momentum"
        )
    if method.follows_units and not estimate.sums_memory:
        raise UsageError(
            f"optimizer '{chosen.optimizer}' follows what is remembered of each unit, and the"
            f" gradient estimate '{coding.scheme.estimate}' of scheme '{shortest(coding.scheme)}'"
            " is no sum of that; take a scheme with the estimate sag (cache=sag)"
        )


def overdue_units(settings: RunSettings, coding: Coding) -> Overdue | None:
    """Return which units the method of a run waits for; None: it does not look at units."""
    return prospect(settings, coding).overdue


class _One:
    """The curvature of x^2 / 2."""

    bounded = True
    measured = True

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        return 1.0

    def by_parameter(self) -> FloatArray:
        return np.ones(1)
