"""Cached decoding: the decoder works on what changed since each result was last seen.

Every coded gradient (every block sum, for repetition codes) is remembered when it arrives. With
h_u the remembered value of unit u, c_u weights with which all units add up to the full gradient,
and D the decoder's weighted sum,

    g_hat = sum_u c_u h_u + D(y - h)

so that erasures cost the *change* of a gradient, which vanishes as the model converges: the error
floor of approximate codes is gone. A round whose arrivals decode exactly (alpha = 1) is D(y) and
nothing else: for a code without groups, sum_u c_u h_u - D(h) would mix in values of several rounds.
After Defazio, Bach, Lacoste-Julien (SAGA, arXiv 1407.0202) and
Schmidt, Le Roux, Bach (SAG, arXiv 1309.2388), with coded gradients in place of samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray, Vector
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR, Decoding
from erasurehead.errors import DataError, UsageError
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.sums import Accumulator, JointSums, Share, add_weighted
from erasurehead.estimating.weighed_memory import WeighedMemory

NEVER = -1

ROUNDING = 1e-14
"""Relative differences of weights up to this are none."""

NEGLIGIBLE = 1e-6
"""Share of the largest c below which a decoder's weights are not compared with c."""


@dataclass(slots=True)
class Remembered:
    """The last value of a unit; `round` is the one it belongs to, -1 before the first.

    `weight` is c_u.
    """

    weight: float
    support: IntArray | None
    values: Vector
    loss: float = 0.0
    round: int = NEVER


class SagaEstimate(GradientEstimate):
    """g_hat = sum_u c_u h_u + D(y - h), then h_u <- y_u for what arrived: unbiased if D is.

    When the decoding is exact, g_hat = D(y).

    What arrived is remembered by reference, and memory is read as little as can be. On arrival,
    c y is added to a sum and h is left alone. At the end the new sum of what is remembered is

        sum_u c h_u + sum_arrived c (y - h)     or     sum_arrived c y + sum_missing c h,

    whichever reads fewer vectors, and if the decoder's weights are the same multiple of all c, the
    estimate is that multiple of its growth. What weights have beyond a common multiple goes into
    sums of their own (`WeighedMemory`).

    Memory: one vector a unit, and three of all columns (up to six if weights differ).

    Parameters
    ----------
    code: a repetition code (a unit is a block), or one whose symbols add up to the full gradient
        with some weights (a unit is a symbol).
    n_columns: length of a gradient.
    ordered: not used; the sum of changes depends on the order of arrival to rounding.

    Raises
    ------
    UsageError: there are no such weights.
    """

    remembers = True

    def __init__(self, code: GradientCode, n_columns: int, ordered: bool = False) -> None:
        # When every block has arrived, a repetition code's new total is D(y) itself.
        self._has_groups = code.groups is not None
        self._unit_of_symbol: list[int] = code.unit_of_symbol.tolist()
        weights = full_weights(code).tolist() if code.groups is None else [1.0] * code.groups.count
        self._largest = max(map(abs, weights))
        nothing = np.zeros(0, dtype=np.int64)
        self._units = [Remembered(weight, nothing, np.zeros(0)) for weight in weights]
        self._n_active = len(set(self._unit_of_symbol))
        self._total = Accumulator(n_columns)
        self._arrived = Accumulator(n_columns)
        self._excess: Accumulator | None = None
        self._weighed: WeighedMemory | None = None
        self._common_multiple = 0.0
        self._weights_differ = False
        self._gradient = Accumulator(n_columns)
        self._joint = JointSums()
        self._total_loss = 0.0
        self._round = 0
        self._is_open = False
        self._multiple = 0.0
        self._change_loss = 0.0
        self._start()

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self._round += 1
        self._is_open = True
        self._start()

    def fold(self, vector: CodedVector, weight: float) -> None:
        """Add a vector whose weight is known."""
        unit = self._unit_of_symbol[vector.symbol]
        self._folded[vector.symbol] = weight
        self._change_loss += weight * (vector.loss - self._units[unit].loss)
        if not self._multiple:
            self._multiple = self._multiple_of(unit, weight)
        if unit in self._fresh:
            self._weigh(unit, vector, weight)
            return
        self._fresh[unit] = vector
        beyond = self._beyond(unit, weight, self._multiple)
        shares = [(self._arrived, self._units[unit].weight)]
        if self._weighed is not None and beyond:
            shares.append(self._weighed.share(unit, beyond))
        self._add(vector, shares)
        if self._weighed is None:
            self._weights_differ |= beyond != 0.0 and self.uses_weights
            self._weigh(unit, vector, beyond)

    def hold(self, vector: CodedVector) -> None:
        """Keep a vector whose weight is known only when the round closes."""
        unit = self._unit_of_symbol[vector.symbol]
        if unit not in self._fresh:
            self._fresh[unit] = vector
            self._add(vector, [(self._arrived, self._units[unit].weight)])
        self._held[vector.symbol] = vector

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses, and remember what arrived."""
        loss = self._decode(decoding, remember=True)
        self._remember_fresh()
        return self._gradient.sum, loss

    def late(self, vector: CodedVector, age: int = 1) -> None:
        """Remember a stale vector if it is newer than what is remembered, but not its loss."""
        unit = self._unit_of_symbol[vector.symbol]
        known = self._units[unit]
        if unit in self._fresh or self._round - age <= known.round:
            return
        if self._weighed is not None:
            self._weighed.replace(unit, known, vector)
        self._total.add(vector.support, vector.values, known.weight)
        self._total.add(known.support, known.values, -known.weight)
        self._remember(unit, vector, known.loss, self._round - age)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the estimate's own arrays.

        A round that is open is not part of it: nothing is remembered before a round is over.
        """
        state: dict[str, npt.NDArray[Any]] = {
            "round": np.array(self._round - self._is_open),
            "total": self._total.sum,
            "total_loss": np.array(self._total_loss),
            "rounds": np.array([unit.round for unit in self._units]),
            "losses": np.array([unit.loss for unit in self._units]),
        }
        if self._weighed is not None:
            state |= {"common_weight": np.array(self._common_multiple)} | self._weighed.state()
        for index, unit in enumerate(self._units):
            if unit.round != NEVER:
                state[f"values_{index}"] = unit.values
                if unit.support is not None:
                    state[f"support_{index}"] = unit.support
        return state

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        DataError: it is not the state of an estimate of this size.
        """
        sizes = (len(self._units), self._total.sum.shape)
        found = (len(state.get("rounds", ())), state.get("total", np.zeros(0)).shape)
        if sizes != found:
            raise DataError(
                f"the checkpoint's cached gradients ({found[0]} units of {found[1]} columns) do not"
                f" fit this run ({sizes[0]} of {sizes[1]}); resume with the scheme it was written"
                " with"
            )
        self._round = int(state["round"])
        self._total.sum[:] = state["total"]
        self._total_loss = float(state["total_loss"])
        if "weighed" in state:
            self._expect_differing_weights(float(state["common_weight"])).load_state(state)
        for index, unit in enumerate(self._units):
            unit.round, unit.loss = int(state["rounds"][index]), float(state["losses"][index])
            if unit.round != NEVER:
                unit.values = state[f"values_{index}"].copy()
                unit.support = state.get(f"support_{index}")

    def _start(self) -> None:
        self._arrived.clear()
        self._joint.drop()
        self._multiple = self._common_multiple
        if self._weighed is not None:
            self._weighed.begin()
        self._has_excess = False
        self._change_loss = 0.0
        self._fresh: dict[int, CodedVector] = {}
        self._held: dict[int, CodedVector] = {}
        self._folded: dict[int, float] = {}

    def _expect_differing_weights(self, common: float) -> WeighedMemory:
        """From the next round on, weigh what weights have beyond `common` times c by memory."""
        self._common_multiple = common
        self._weighed = WeighedMemory(self._total.n_columns, len(self._units))
        return self._weighed

    def _add(self, vector: CodedVector, shares: Sequence[Share]) -> None:
        self._joint.add(vector.support, vector.values, shares)
        if self._joint.is_full:
            self._joint.flush(self.in_parts)

    def _multiple_of(self, unit: int, weight: float) -> float:
        """Return weight / c, or another number where c is next to nothing: any one will do."""
        own = self._units[unit].weight
        return weight / (own if abs(own) > NEGLIGIBLE * self._largest else self._largest)

    def _beyond(self, unit: int, weight: float, multiple: float) -> float:
        """Return what a weight has beyond a multiple of c, zero for rounding."""
        beyond = weight - multiple * self._units[unit].weight
        return beyond if abs(beyond) > ROUNDING * abs(weight) else 0.0

    def _weigh(self, unit: int, vector: CodedVector, beyond: float) -> None:
        """Add a vector's change, weighted by what its weight has beyond the common multiple."""
        if beyond == 0.0 or not self.uses_weights:
            return
        if self._excess is None:
            self._excess = Accumulator(self._total.n_columns)
        if not self._has_excess:
            self._excess.clear()
            self._has_excess = True
        known, support, values = self._units[unit], vector.support, vector.values
        if support is not None and known.round != NEVER and _same(support, known.support):
            # Adding to scattered columns costs more than subtracting first.
            self._excess.add(support, np.subtract(values, known.values, dtype=np.float64), beyond)
            return
        self._excess.add(support, values, beyond)
        if known.round != NEVER:
            self._excess.add(known.support, known.values, -beyond)

    def _decode(self, decoding: Decoding, *, remember: bool) -> float:
        """Form the estimate of the gradient; return that of the loss."""
        self._is_open = False
        self._joint.flush(self.in_parts)
        if decoding.decode_error <= EXACT_ERROR and not self._has_groups:
            loss = self._weigh_arrivals_alone(decoding)
            self._combine(decoding.scale, remember=remember, estimate=False)
            return loss
        loss = self._total_loss + self._close(decoding)
        self._combine(decoding.scale, remember=remember)
        return loss

    def _weigh_arrivals_alone(self, decoding: Decoding) -> float:
        """Make the estimate D(y), without what is remembered; return the same for losses.

        Only for codes whose units are their symbols.
        """
        scaled = {s: decoding.scale * weight for s, weight in self._folded.items()}
        weights = {s: w for s, w in (scaled | dict(decoding.held)).items() if w}
        loss = sum(weight * self._fresh[symbol].loss for symbol, weight in weights.items())
        first = next(iter(weights))
        multiple = self._multiple_of(first, weights[first])
        alike = not any(self._beyond(s, weight, multiple) for s, weight in weights.items())
        if alike and len(weights) == len(self._fresh):
            # Whatever arrived counts alike, and is added up already.
            np.multiply(self._arrived.sum, multiple, out=self._gradient.sum)
            return loss
        self._gradient.clear()
        for symbol, weight in weights.items():
            vector = self._fresh[symbol]
            self._gradient.add(vector.support, vector.values, weight)
        return loss

    def _close(self, decoding: Decoding) -> float:
        """Weigh what was held; return D(y - h) for losses."""
        scale = decoding.scale
        if self._excess is not None and self._has_excess and scale != 1.0:
            excess = self._excess.sum
            excess *= scale
        loss = scale * self._change_loss
        if not self._multiple:  # nothing was folded in
            counted = [s for s, weight in decoding.held.items() if weight]
            if counted:
                weight = decoding.held[counted[0]] / scale
                self._multiple = self._multiple_of(self._unit_of_symbol[counted[0]], weight)
        for symbol in sorted(self._held):
            vector = self._held[symbol]
            weight = decoding.held.get(symbol, 0.0)
            unit = self._unit_of_symbol[symbol]
            loss += weight * (vector.loss - self._units[unit].loss)
            beyond = weight
            if self._fresh[unit] is vector:
                beyond = self._beyond(unit, weight, scale * self._multiple)
            self._weigh(unit, vector, beyond)
        return loss

    def _combine(self, scale: float, *, remember: bool, estimate: bool = True) -> None:
        """Form the estimate if wanted; if what arrived is to be remembered, renew the total."""
        afresh, known = self._fewer()
        dense = []
        for unit in known:
            weight = unit.weight if afresh else -unit.weight
            if unit.support is None:
                dense.append((unit.values, weight))
            else:
                self._arrived.add(unit.support, unit.values, weight)
        excess = self._excess.sum if self._excess is not None and self._has_excess else None
        changes = None if self._weighed is None else self._weighed.changes(self._units)
        step = scale * self._multiple
        arrived, old, new = self._arrived.sum, self._total.sum, self._gradient.sum

        def combine(part: slice) -> None:
            for values, weight in dense:
                self._arrived.add_part(values, weight, part)
            renewed, gradient, total = arrived[part], new[part], old[part]
            if not afresh:
                renewed += total
            if not estimate:
                return
            self._estimate(gradient, total, renewed, step)
            if excess is not None:
                gradient += excess[part]
            if changes is not None:
                add_weighted(gradient, changes[part], scale)

        self.in_parts(len(new), combine)
        if self._weighed is not None and changes is not None:
            self._weighed.renew(changes, remember=remember)
        elif self._weights_differ:
            self._expect_differing_weights(self._multiple)
        if remember:
            # What was the total is cleared when the next round begins.
            self._total, self._arrived = self._arrived, self._total

    def _estimate(
        self, gradient: FloatArray, total: FloatArray, renewed: FloatArray, step: float
    ) -> None:
        """Fill a part of the estimate from the old and the new sum of what is remembered."""
        if step == 1.0:
            gradient[:] = renewed
        else:
            np.multiply(total, 1.0 - step, out=gradient)
            add_weighted(gradient, renewed, step)

    def _fewer(self) -> tuple[bool, list[Remembered]]:
        """Return the smaller part of what is remembered, and whether it is what did not arrive."""
        parts: tuple[list[Remembered], list[Remembered]] = ([], [])
        for index, unit in enumerate(self._units):
            if unit.round != NEVER:
                parts[index not in self._fresh].append(unit)
        sizes = [sum(len(unit.values) for unit in part) for part in parts]
        afresh = sizes[1] <= sizes[0]
        return afresh, parts[afresh]

    def _remember_fresh(self) -> None:
        for unit, vector in self._fresh.items():
            self._remember(unit, vector, vector.loss, self._round)

    def _remember(self, unit: int, vector: CodedVector, loss: float, round_: int) -> None:
        known = self._units[unit]
        self._total_loss += known.weight * (loss - known.loss)
        known.support, known.values = vector.support, vector.values
        known.loss, known.round = loss, round_


def full_weights(code: GradientCode) -> FloatArray:
    """Return weights c with sum_u c_u A[u, j] = 1 for every task j, shape (n_symbols,).

    All equal where that is possible, of least norm otherwise.

    Raises
    ------
    UsageError: all symbols together do not hold the sum of all task gradients.
    """
    wanted = np.ones(code.n_tasks)
    sums = np.asarray(code.matrix.sum(axis=0)).ravel()
    mean = float(sums.mean())
    if mean > 0 and np.abs(sums - mean).max() <= ROUNDING * code.n_symbols * mean:
        return np.full(code.n_symbols, 1.0 / mean)
    dense = code.matrix.toarray()
    weights: FloatArray = np.linalg.lstsq(dense.T, wanted, rcond=None)[0]
    if np.mean((weights @ dense - wanted) ** 2) > EXACT_ERROR:
        raise UsageError(
            f"a cached estimate adds up what is remembered of all workers, and code '{code.name}'"
            " does not get the full gradient in that way; use frc, pairwise-balanced, regular,"
            " osgc or another code in which all tasks count equally"
        )
    return weights


def _same(one: IntArray, other: IntArray | None) -> bool:
    return one is other or (other is not None and np.array_equal(one, other))
