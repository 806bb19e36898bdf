"""Steps p = -H g, in a metric, with H from pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.blas import dot, squared_norm
from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Problem, blocks
from erasurehead.optimizing.metric import Metric
from erasurehead.optimizing.pairs import CurvaturePairs, Digits
from erasurehead.optimizing.step_cap import StepCap

PAIRS = 10

FIRST_STEP = 1.0


class NewtonSteps:
    """What L-BFGS methods have in common: a metric, pairs in it, and a cap on steps.

    H begins as gamma_0 D^-1 with the inverse gamma_0 of the largest curvature in the metric D. A
    model whose curvature has no bound has no metric but ones; its first step is then no longer than
    1, nor longer than the gradient, and gamma_0 is what that makes it.

    Parameters
    ----------
    problem: what is minimised.
    power: of the metric.
    first_step: how many times the inverse of the largest curvature gamma_0 is.
    keep: pairs.
    digits: in which they are kept.

    Raises
    ------
    UsageError: a value out of range, or the power is.
    """

    def __init__(
        self, problem: Problem, power: float, first_step: float, keep: int, digits: Digits
    ) -> None:
        if keep < 1:
            raise UsageError(f"pairs={keep} of an optimizer must be at least 1")
        if not (math.isfinite(first_step) and first_step > 0):
            raise UsageError(f"first_step={first_step:g} of an optimizer must be positive")
        self.penalty = problem.penalty
        self.metric = Metric.of(problem, power)
        n = len(problem.start)
        largest = self.metric.largest
        first_scale = math.nan if largest is None else first_step / largest
        self.pairs = CurvaturePairs(n, largest, first_scale, keep, digits)
        self.decrease: float | None = None
        """How far the objective is above its minimum, as seen from where the last step started
        (`CurvaturePairs.decrease`); None: too little is known."""
        self._cap = StepCap()
        self._step = np.empty(n)

    def scale_gradient(self, of_loss: FloatArray, at: FloatArray, out: FloatArray) -> None:
        """Put D^-1/2 (gradient of the mean loss + gradient of the penalty at a point) into `out`.

        All shapes are (n_parameters,).
        """
        for here in blocks(len(out)):
            part = out[here]
            part[:] = of_loss[here]
            self.penalty.add_part(part, at, here)
            part *= self.metric.inverse_root[here]

    def go(
        self,
        start: FloatArray,
        gradient: FloatArray,
        size: float,
        out: FloatArray,
        *,
        by_pairs: bool = True,
    ) -> float:
        """Put start - size H g into `out`, or a point nearer to the start if that is too far.

        Parameters
        ----------
        start: a point, shape (n_parameters,).
        gradient: D^-1/2 g, of the same shape.
        by_pairs: else, H is as if there were none.

        Returns
        -------
        g·(out - start).
        """
        if math.isnan(self.pairs.first_scale):
            self.pairs.first_scale = 1.0 / max(1.0, float(np.abs(gradient).sum()))
            self.pairs.clear()
        self.decrease = None
        if by_pairs:
            self.pairs.newton(gradient, self._step)
            self.decrease = self.pairs.decrease
        else:
            np.multiply(gradient, self.pairs.first_scale, out=self._step)
        size *= self._cap.share(size * math.sqrt(squared_norm(self._step)))
        slope = -size * dot(gradient, self._step)
        for here in blocks(len(out)):
            part = self._step[here]
            part *= self.metric.inverse_root[here]
            part *= -size
            np.add(start[here], part, out=out[here])
        return slope

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold besides the metric; partly the pairs' own arrays."""
        return {"lengths": self._cap.state()} | self.pairs.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; see `CurvaturePairs`."""
        self.pairs.load_state(state)
        self._cap.load_state(state["lengths"])
