"""Which method goes with the rounds of a run, when the user leaves that open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import Method, RoundKind
from erasurehead.optimizing.making import AUTOMATIC as AUTOMATIC_STEP
from erasurehead.registry import Spec

AUTOMATIC = "auto"

BY_MERIT = ("anchored-lbfgs", "lbfgs", "restarted-nesterov", "gradient-descent")
"""Methods in the order in which they are taken if what they need is there; the last needs nothing
but a step size."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A method, as a user would write it.

    Attributes
    ----------
    reason: why it was chosen, as a clause; empty: the user has named it.
    """

    optimizer: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The method's name alone."""
        return Spec.parse(self.optimizer).name


PROXIMAL_BY_MERIT = ("restarted-nesterov", "diagonal", "gradient-descent")
"""The same for penalties without a gradient. Momentum carries stale gradients too far there, so the
first is for rounds that have the full gradient."""


def choose(
    optimizer: str, step: str, rounds: RoundKind, *, bounded: bool, smooth: bool = True
) -> Chosen:
    """Return the optimizer that is written, or the best there is for ``auto``.

    Parameters
    ----------
    step: as it is written. A size is taken for one of gradient steps, since the steps of other
        methods go by the curvature: a user who means one of theirs names the method.
    rounds: what the coding makes of them.
    bounded: the curvature of the model has a bound.
    smooth: the penalty has a gradient everywhere.
    """
    if optimizer != AUTOMATIC:
        return Chosen(optimizer)
    if step != AUTOMATIC_STEP:
        return Chosen(BY_MERIT[-1], f"the step size {step} is given, and is for its steps")
    if not smooth:
        return _proximal(rounds, bounded)
    if not rounds.whole:
        return _in_batches(rounds, bounded)
    for name in BY_MERIT:
        # A method of ours is a class, whose attributes say what it needs.
        method = cast(type[Method], METHODS.factory(name))
        if not _lacks(method, rounds, bounded):
            return Chosen(name, _reason(method, rounds, bounded))
    raise AssertionError("the last method needs nothing")


def _proximal(rounds: RoundKind, bounded: bool) -> Chosen:
    """Return the method for a penalty that has no gradient everywhere."""
    accelerated, steady, plain = PROXIMAL_BY_MERIT
    reason = "an L1 penalty needs proximal steps"
    if not bounded:
        return Chosen(plain, f"{reason}, and the curvature of the model has no bound")
    if rounds.exact:
        return Chosen(accelerated, f"{reason}, and every round has the full gradient")
    return Chosen(steady, f"{reason}, and rounds do not have the full gradient")


def _in_batches(rounds: RoundKind, bounded: bool) -> Chosen:
    """Return the method for rounds on other rows each: momentum would carry their noise on."""
    reason = "every round is on other rows"
    if bounded:
        return Chosen(PROXIMAL_BY_MERIT[1], reason)
    reason += ", and the curvature of the model has no bound"
    return Chosen("adam" if rounds.unbiased else BY_MERIT[-1], reason)


def _lacks(method: type[Method], rounds: RoundKind, bounded: bool) -> bool:
    return (
        (method.follows_units and not rounds.n_units)
        or (method.needs_exact_rounds and not rounds.exact)
        or (method.needs_curvature and not bounded)
    )


def _reason(method: type[Method], rounds: RoundKind, bounded: bool) -> str:
    if method.follows_units:
        return f"a round sums up what is remembered of {rounds.n_units} units"
    if method.needs_exact_rounds:
        return "every round has the full gradient"
    inexact = "erasures leave rounds inexact, and they are no sums of what is remembered of units"
    if bounded:
        return inexact
    return f"{inexact}, and the curvature of the model has no bound"
