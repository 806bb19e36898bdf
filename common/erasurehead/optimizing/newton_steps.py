"""Steps p = -H g, in a metric, with H from pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, Vector
from erasurehead.blas import dots, squared_norm
from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.metric import Metric
from erasurehead.optimizing.pairs import Combination, CurvaturePairs, Digits, Squares
from erasurehead.optimizing.step_cap import StepCap
from erasurehead.parts import InParts, pieces, stretches

PAIRS = 10
MOST_PAIRS = 100

FIRST_STEP = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """H g for the gradient g of a `NewtonSteps`.

    Attributes
    ----------
    newton: the combination of pairs and gradient that it is.
    products: with all pairs.
    slope: g·H g.
    decrease: how far the objective is above its minimum; None: too little is known.
    """

    newton: Combination
    products: FloatArray
    slope: float
    decrease: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Gone:
    """A step p that was gone.

    Attributes
    ----------
    slope: g·p.
    products: of p with all pairs.
    """

    slope: float
    products: FloatArray


class NewtonSteps:
    """What L-BFGS methods have in common: a gradient in a metric, pairs, and a cap on steps.

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
    growth: of steps, at most; see `StepCap`.
    in_parts: how long vectors are worked on.
    damping: least share of the curvature that H foresaw along a step for its pair to have; see
        `_damped`.

    Attributes
    ----------
    metric: D.
    pairs: H.
    cap: on the next step.
    learnt: the last turn has learnt a pair.
    gradient: D^-1/2 g for the gradient g of the objective at a point, shape (n_parameters,).

    Raises
    ------
    UsageError: a value out of range, or the power is.
    """

    def __init__(
        self,
        problem: Problem,
        power: float,
        first_step: float,
        keep: int,
        digits: Digits,
        growth: float,
        in_parts: InParts,
        damping: float = 0.0,
    ) -> None:
        if not 1 <= keep <= MOST_PAIRS:
            raise UsageError(f"pairs={keep} of an optimizer must be from 1 to {MOST_PAIRS}")
        if not (math.isfinite(first_step) and first_step > 0):
            raise UsageError(f"first_step={first_step:g} of an optimizer must be positive")
        self._penalty = problem.penalty
        self._in_parts = in_parts
        self._damping = damping
        self.metric = Metric.of(problem, power)
        n = len(problem.start)
        largest = self.metric.largest
        first_scale = math.nan if largest is None else first_step / largest
        self.pairs = CurvaturePairs(n, largest, first_scale, keep, digits, in_parts)
        self.gradient = np.zeros(n)
        self.decrease: float | None = None
        """How far the objective is above its minimum, as seen from where the last step started
        (`CurvaturePairs.decrease`); None: too little is known."""
        self.cap = StepCap(growth)
        self._of_base = np.zeros(self.pairs.n_products)
        """Products of the gradient at which the next pair begins, with all pairs."""
        self._pull = self._slope = 0.0
        """Of the last step s, from the gradient g: B s = -pull g, and g·s."""
        self.learnt = False
        self._multiplies = False
        """The gradient is multiplied with pairs as it is renewed; not where damping may yet change
        the pair that was put."""

    def begin(self, *, multiplies: bool) -> None:
        """Get ready for another gradient, and, if asked, for its products with pairs."""
        self._multiplies = multiplies and not self._damping
        if self._multiplies:
            self.pairs.begin()

    def renew(
        self,
        of_loss: FloatArray,
        at: FloatArray,
        here: slice,
        changed: FloatArray,
        besides: FloatArray | None = None,
    ) -> None:
        """Take a stretch of the gradient: the mean loss's and, at a point, the penalty's.

        Parameters
        ----------
        of_loss, at: shape (n_parameters,).
        changed: how it has changed is put there, of the stretch's length.
        besides: is added to the mean loss's gradient, of the stretch's length.
        """
        part, fresh = self.gradient[here], np.empty(len(changed))
        self._penalty.slope(at, here, fresh)
        fresh += of_loss[here]
        if besides is not None:
            fresh += besides
        fresh *= self.metric.inverse_root[here]
        self.pairs.put_gradient(fresh, here)
        np.subtract(fresh, part, out=changed)
        part[:] = fresh

    def put(self, step: FloatArray, change: FloatArray, here: slice) -> tuple[FloatArray, ...]:
        """Put a stretch of a pair by; return its s·s, s·y and y·y, of each piece (`blas.dots`).

        Parameters
        ----------
        step: as the parameters have it; overwritten.
        change: of `gradient`.
        """
        step *= self.metric.root[here]
        self.pairs.put(step, change, here)
        return dots(step, step), dots(step, change), dots(change, change)

    def follow(self, step: Vector, change: Vector, here: slice) -> tuple[FloatArray, ...]:
        """Put a stretch of a pair by, and let the gradient that is multiplied change so.

        `gradient` itself is as it was, and to be renewed before it changes again.

        Parameters
        ----------
        step, change: as `put` keeps them, in the precision of pairs; of the stretch's length.

        Returns
        -------
        What `put` does.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # it is not admitted then
            self.pairs.put(step, change, here)
            self.pairs.add_to_gradient(change, here)
            return dots(step, step), dots(step, change), dots(change, change)

    def multiply(self, here: slice) -> None:
        """Multiply a stretch of the gradient with pairs, if that was asked, once all that is to be
        put there is put: it is still at hand."""
        if self._multiplies:
            self.pairs.multiply(here)

    def turn(self, pair: FloatArray | None, of_step: FloatArray, *, begins: bool) -> Direction:
        """Return the direction of Newton's step, H g, once a pair is learnt from.

        Parameters
        ----------
        pair: the sum of what `put` has returned, shape (3,); None: there is none.
        of_step: products of its step with all pairs.
        begins: the next pair begins at this gradient.
        """
        pairs, squares = self.pairs, None if pair is None else Squares(*pair.tolist())
        if math.isnan(pairs.first_scale):
            pairs.first_scale = 1.0 / max(1.0, float(np.abs(self.gradient).sum()))
            pairs.clear()
        kept, pull = 1.0, 0.0
        if squares is not None and self._damping:
            squares, kept, pull = self._damped(squares)
        admitted = squares is not None and pairs.admits(squares)
        products, square = pairs.multiply_gradient()
        if squares is not None and admitted:
            of_change = kept * (products - self._of_base) + pull * self._of_base
            pairs.learn(squares, of_step, of_change)
        self.learnt = admitted
        products = pairs.only_kept(products)
        if begins:
            self._of_base = products
        newton = pairs.newton(products)
        slope = newton.scale * square + float(newton.weights @ products)
        decrease = pairs.decrease(products, square)
        return Direction(newton, pairs.products_of(newton, products), slope, decrease)

    def _damped(self, pair: Squares) -> tuple[Squares, float, float]:
        """Give the pair that was put some curvature if it has too little, or a negative one.

        Where s·y < d s·B s for the damping d, y becomes k y + (1 - k) B s with
        k = (1 - d) s·B s / (s·B s - s·y), so that s·y = d s·B s: H stays positive definite, and
        still learns what has changed (Powell, 1978; Nocedal, Wright, "Numerical optimization",
        2006, procedure 18.2). B s costs nothing, for s was a step along -H g. As long as there is
        no pair, B is a guess, and a pair with any curvature is better.

        Returns
        -------
        The pair's squares, k, and what multiplies g in the new y.
        """
        foreseen = -self._pull * self._slope
        enough = self._damping * foreseen if len(self.pairs) else 0.0
        if pair.step_change > enough or not foreseen > 0.0:
            return pair, 1.0, 0.0
        kept = (1.0 - self._damping) * foreseen / (foreseen - pair.step_change)
        pull = (kept - 1.0) * self._pull
        # The gradient that the change is added to is the new one without it.
        step_change, change_change = self.pairs.mix_change(kept - pull, self.gradient, pull)
        return Squares(pair.step_step, step_change, change_change), kept, pull

    def straight(self) -> Direction:
        """Return gamma_0 D^-1 g, the direction that pairs have no say in."""
        none, scale = np.zeros(self.pairs.n_products), self.pairs.first_scale
        return Direction(Combination(scale, none), none, scale * squared_norm(self.gradient))

    def go(self, start: FloatArray, along: Direction, size: float, out: FloatArray) -> Gone:
        """Put start - size H g into `out`, or a point nearer to the start if that is too far.

        Parameters
        ----------
        start: a point, shape (n_parameters,).
        """
        squares = np.zeros(pieces(slice(0, len(out))).stop)
        self._combine(start, along.newton.times(-size), out, squares)
        gone = self._gone(along, size)
        share = self.cap.share(math.sqrt(squares.sum()))
        if share < 1.0:
            self.shorten(start, share, out)
        return Gone(share * gone.slope, share * gone.products)

    def go_from_newest(
        self, start: FloatArray, along: Direction, size: float, out: FloatArray
    ) -> Gone:
        """Do as `go` from the end of the newest pair's step, of which `start` is the beginning.

        The step is one more vector of those that are combined, so that its end need not be known.
        """
        newton = along.newton
        square = newton.scale * along.slope + float(newton.weights @ along.products)
        size *= self.cap.share(size * math.sqrt(max(square, 0.0)))
        step = newton.times(-size)
        step.weights[self.pairs.newest_step] += 1.0
        self._combine(start, step, out)
        return self._gone(along, size)

    def _combine(
        self,
        start: FloatArray,
        step: Combination,
        out: FloatArray,
        squares: FloatArray | None = None,
    ) -> None:
        """Put a point and a step into `out`, and what its `dots` with itself are into `squares`."""

        def move(part: slice) -> None:
            # From the end, of which more is left in the cache.
            for here in reversed([*stretches(part)]):
                way = self.pairs.combine(step, here)
                if squares is not None:
                    squares[pieces(here)] = dots(way, way)
                np.multiply(way, self.metric.inverse_root[here], out=out[here])
                out[here] += start[here]

        self._in_parts(len(out), move)

    def _gone(self, along: Direction, size: float) -> Gone:
        """Take note that -size H g is gone."""
        self.decrease = along.decrease
        self._pull, self._slope = size, -size * along.slope
        return Gone(self._slope, -size * along.products)

    def shorten(self, start: FloatArray, share: float, out: FloatArray) -> None:
        """Leave a share of the last step, from its start to `out`, in place."""
        self._pull *= share
        self._slope *= share

        def move(part: slice) -> None:
            for here in stretches(part):
                way = out[here]
                way -= start[here]
                way *= share
                way += start[here]

        self._in_parts(len(out), move)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold besides the metric; partly the pairs' own arrays."""
        of_step = {"of_last_step": np.array([self._pull, self._slope])} if self._damping else {}
        return {
            "gradient": self.gradient,
            "of_base": self._of_base,
            "decrease": np.array([] if self.decrease is None else [self.decrease]),
            "lengths": self.cap.state(),
            **of_step,
        } | self.pairs.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; see `CurvaturePairs`."""
        self.gradient[:] = state["gradient"]
        kept = state.get("decrease", np.array([]))  # earlier versions kept none
        self.decrease = float(kept[0]) if len(kept) else None
        self.pairs.load_state(state)
        self.pairs.put_gradient(self.gradient, slice(0, len(self.gradient)))
        self._of_base = state["of_base"].copy()
        self.cap.load_state(state["lengths"])
        if self._damping:
            self._pull, self._slope = state["of_last_step"].tolist()
