"""From what a user writes to a method and its step size."""

from __future__ import annotations

from erasurehead.errors import UsageError
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import Method, Problem, Unit
from erasurehead.optimizing.steps import Constant, StepSize, build_step_size

AUTOMATIC = "auto"


def make_method(optimizer: str, step: str, problem: Problem) -> tuple[Method, StepSize]:
    """Build the method that `optimizer` names, and its step size.

    Parameters
    ----------
    step: a number, a step size with options, or ``auto``: the method's unit.

    Raises
    ------
    UsageError: an unknown method, step size or option, or a value out of range; or the method
        does not take the penalty.
    """
    given = None if step == AUTOMATIC else build_step_size(step)
    method = METHODS.build(optimizer, problem)
    if not (problem.penalty.smooth or method.proximal):
        raise UsageError(
            f"optimizer '{optimizer}' needs a penalty with a gradient, and that of --l1 has none"
            " where a parameter is 0; take --optimizer auto, or leave --l1 out"
        )
    return method, given or Constant(eta=automatic_step(method.unit, problem))


def automatic_step(unit: Unit, problem: Problem) -> float:
    """Return a method's unit: a number, or 1 / (the largest curvature of the objective) if any.

    Gradient descent with that step never increases a convex objective.
    """
    if isinstance(unit, float):
        return unit
    curvature = problem.curvature.largest() + problem.penalty.curvature
    return 1.0 / curvature if curvature > 0 else 1.0
