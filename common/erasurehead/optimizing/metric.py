"""A diagonal metric from curvatures that are known before the first round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.penalty import Penalty

POWER = 0.5
"""AdaGrad's exponent, too, but of what is known of the data. On the data sets that it was measured
on it is never far from the best power, which is another one on each."""

FLAT = 1e-8
"""Least entry of a metric, as a share of its largest: no column is taken to be flatter."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """D = H^power for the diagonal H of the objective's Hessian, the penalty included.

    Methods work in *metric coordinates*: D^1/2 x for a point x, D^-1/2 g for a gradient g. There
    inner products are plain ones, and a step along the gradient is D^-1 g.

    Attributes
    ----------
    root: D^1/2, shape (n_parameters,).
    inverse_root: D^-1/2.
    largest: the largest curvature of the objective in the metric, above 0; None: it has no bound.
        The metric is then what the model says of how much parameters differ, or all ones.
    """

    root: FloatArray
    inverse_root: FloatArray
    largest: float | None

    @classmethod
    def of(cls, problem: Problem, power: float) -> Metric:
        """Find the metric of a problem; that takes passes over its rows.

        Raises
        ------
        UsageError: the power is not from 0 to 1.
        """
        if not 0 <= power <= 1:
            raise UsageError(f"power={power:g} of an optimizer's metric must be from 0 to 1")
        ones = np.ones(len(problem.start))
        if not problem.curvature.measured:
            return cls(ones, ones, None)
        diagonal = problem.curvature.by_parameter()
        of_penalty = np.zeros(len(diagonal))
        problem.penalty.add_curvature(of_penalty)
        diagonal += of_penalty
        if not diagonal.any():
            return cls(ones, ones, 1.0 if problem.curvature.bounded else None)
        entries = diagonal**power
        np.maximum(entries, FLAT * entries.max(), out=entries)
        root = np.sqrt(entries)
        if not problem.curvature.bounded:
            return cls(root, 1.0 / root, None)
        # The sample on which it is found need not have all columns.
        largest = problem.curvature.largest(entries, of_penalty)
        return cls(root, 1.0 / root, max(largest, float((diagonal / entries).max())))


class MetricSteps:
    """D^-1 grad f / L, the step that follows a gradient in a metric.

    L is the largest curvature in it, so that no step of this size raises a convex loss.

    Parameters
    ----------
    problem: what is minimised.
    power: of the metric.

    Attributes
    ----------
    scale: D^-1 / L, shape (n_parameters,).

    Raises
    ------
    UsageError: the power is out of range, or the curvature has no bound.
    """

    def __init__(self, problem: Problem, power: float) -> None:
        metric = Metric.of(problem, power)
        if metric.largest is None:
            raise UsageError(
                "the curvature of the model has no bound, and the optimizer's steps are as long as"
                " that says; give another --optimizer"
            )
        self._penalty: Penalty = problem.penalty
        self.scale: FloatArray = metric.inverse_root**2 / metric.largest

    def descend(
        self, of_loss: FloatArray, point: FloatArray, here: slice, size: float, gone: FloatArray
    ) -> None:
        """Go from a point by -size D^-1 grad f / L, in place and on a part of the parameters.

        A proximal step follows, with the same sizes, if the penalty has no gradient everywhere.

        Parameters
        ----------
        of_loss: the gradient of the mean loss at the point.
        point: all parameters; those outside `here` stay.
        here: the part, with both ends and no step.
        gone: what the part was before, less what it is now, is put there.
        """
        part = point[here]
        self._penalty.slope(point, here, gone)
        gone += of_loss[here]
        gone *= self.scale[here]
        gone *= size
        part -= gone
        if not self._penalty.smooth:
            gone += part
            self._penalty.shrink(point, size * self.scale[here], here)
            gone -= part
