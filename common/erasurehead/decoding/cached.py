"""Cached decoding: the decoder works on what changed since each result was last seen.

Every coded gradient (every block sum, for repetition codes) is remembered when it arrives. With
h_u the remembered value of unit u, c the weight with which all units add up to the full gradient,
and D the decoder's weighted sum,

    g_hat = c sum_u h_u + D(y - h)

so that erasures cost the *change* of a gradient, which vanishes as the model converges: the error
floor of approximate codes is gone. After Defazio, Bach, Lacoste-Julien (SAGA, arXiv 1407.0202) and
Schmidt, Le Roux, Bach (SAG, arXiv 1309.2388), with coded gradients in place of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.coding.base import FloatArray, GradientCode, IntArray, RepetitionCode
from erasurehead.decoding.base import Decoding
from erasurehead.decoding.estimate import (
    BLOCK_COLUMNS,
    Accumulator,
    GradientEstimate,
    Vector,
    blocks,
)
from erasurehead.decoding.fixed import column_sum
from erasurehead.errors import DataError

NEVER = -1


@dataclass(slots=True)
class Remembered:
    """The last value of a unit; `round` is the one it belongs to, -1 before the first."""

    support: IntArray | None
    values: Vector
    loss: float = 0.0
    round: int = NEVER


class SagaEstimate(GradientEstimate):
    """g_hat = c sum_u h_u + D(y - h), then h_u <- y_u for what arrived: unbiased if D is.

    What arrived is remembered by reference. As long as all weights are equal, w, both sums that the
    arrivals change are multiples of one, d = sum (y - h): g_hat = c sum_u h_u + s w d, and
    sum_u h_u grows by d. So y and h are read once and d is all that is added to on arrival. What
    other weights have beyond w goes into a sum of its own.

    Memory: one vector a unit, and three of all columns (four if weights differ).

    Parameters
    ----------
    code: a repetition code (a unit is a block), or one with equal column sums (a unit is a symbol).
    n_columns: length of a gradient.
    ordered: not used; the sum of changes depends on the order of arrival to rounding.

    Raises
    ------
    UsageError: the code's symbols do not add up to the full gradient.
    """

    weighs_changes = True
    """Whether D(y - h) is wanted for gradients (it always is for losses)."""

    def __init__(self, code: GradientCode, n_columns: int, ordered: bool = False) -> None:
        if isinstance(code, RepetitionCode):
            self._unit_of_symbol: list[int] = code.group_of_slot.tolist()
            self._unit_weight, n_units = 1.0, code.n_blocks
        else:
            self._unit_of_symbol = list(range(code.n_symbols))
            self._unit_weight, n_units = 1.0 / column_sum(code, "a cached estimate"), code.n_symbols
        nothing = np.zeros(0, dtype=np.int64)
        self._units = [Remembered(nothing, np.zeros(0)) for _ in range(n_units)]
        self._n_active = len(set(self._unit_of_symbol))
        self._total = Accumulator(n_columns)
        self._change = Accumulator(n_columns)
        self._excess: Accumulator | None = None
        self._gradient: FloatArray = np.empty(n_columns)
        self._scratch: FloatArray = np.empty(min(n_columns, BLOCK_COLUMNS))
        self._total_loss = 0.0
        self._round = 0
        self._start()

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self._round += 1
        self._start()

    def fold(
        self, symbol: int, support: IntArray | None, values: Vector, weight: float, loss: float = 0
    ) -> None:
        """Add a symbol whose weight is known."""
        unit = self._unit_of_symbol[symbol]
        self._change_loss += weight * (loss - self._units[unit].loss)
        if not self._weight:
            self._weight = weight
        self._take(unit, support, values, loss, weight, self._weight)

    def hold(self, symbol: int, support: IntArray | None, values: Vector, loss: float = 0) -> None:
        """Keep a symbol whose weight is known only when the round closes."""
        self._held[symbol] = (support, values, loss)

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses, and remember what arrived."""
        loss = self._total_loss + self._close(decoding)
        common = decoding.scale * self._weight
        excess = None if self._excess is None or not self._has_excess else self._excess.sum
        for block in blocks(len(self._gradient)):
            gradient, total = self._gradient[block], self._total.sum[block]
            change = self._change.sum[block]
            np.multiply(change, common, out=gradient)
            gradient += total
            if excess is not None:
                gradient += excess[block]
            self._grow(total, change)
        self._remember_fresh()
        return self._gradient, loss

    def late(self, symbol: int, support: IntArray | None, values: Vector, age: int = 1) -> None:
        """Remember a stale result if it is newer than what is remembered."""
        unit = self._unit_of_symbol[symbol]
        known = self._units[unit]
        if unit in self._fresh or self._round - age <= known.round:
            return
        if any(self._unit_of_symbol[held] == unit for held in self._held):
            return
        self._add_change(unit, support, values, None, self._total, self._unit_weight)
        self._remember(unit, support, values, known.loss, self._round - age)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold between two rounds; partly the estimate's own
        arrays."""
        state: dict[str, npt.NDArray[Any]] = {
            "round": np.array(self._round),
            "total": self._total.sum,
            "total_loss": np.array(self._total_loss),
            "rounds": np.array([unit.round for unit in self._units]),
            "losses": np.array([unit.loss for unit in self._units]),
        }
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
        for index, unit in enumerate(self._units):
            unit.round, unit.loss = int(state["rounds"][index]), float(state["losses"][index])
            if unit.round != NEVER:
                unit.values = state[f"values_{index}"].copy()
                unit.support = state.get(f"support_{index}")

    def _start(self) -> None:
        self._change.clear()
        if self._excess is not None:
            self._excess.clear()
        self._has_excess = False
        self._weight = 0.0
        self._change_loss = 0.0
        self._fresh: dict[int, tuple[IntArray | None, Vector, float]] = {}
        self._held: dict[int, tuple[IntArray | None, Vector, float]] = {}

    def _take(
        self,
        unit: int,
        support: IntArray | None,
        values: Vector,
        loss: float,
        weight: float,
        common: float,
    ) -> None:
        """Add y - h to the change, and what the weight has beyond the common one to the excess.

        A unit's second copy does not count for the change, so its whole weight is excess.
        """
        first = unit not in self._fresh
        if first:
            self._fresh[unit] = (support, values, loss)
        beyond = weight - common if first else weight
        if not self.weighs_changes or beyond == 0.0:
            if first:
                self._add_change(unit, support, values, self._change)
            return
        if self._excess is None:
            self._excess = Accumulator(len(self._gradient))
        self._has_excess = True
        change = self._change if first else None
        self._add_change(unit, support, values, change, self._excess, beyond)

    def _close(self, decoding: Decoding) -> float:
        """Take what was held, now that its weights are known; return D(y - h) for losses."""
        if self._has_excess and self._excess is not None and decoding.scale != 1.0:
            self._excess.sum *= decoding.scale
        loss = decoding.scale * self._change_loss
        for symbol in sorted(self._held):
            support, values, its_loss = self._held[symbol]
            weight = decoding.held.get(symbol, 0.0)
            unit = self._unit_of_symbol[symbol]
            loss += weight * (its_loss - self._units[unit].loss)
            if not self._weight:
                self._weight = weight / decoding.scale
            common = decoding.scale * self._weight
            self._take(unit, support, values, its_loss, weight, common)
        return loss

    def _grow(self, total: FloatArray, change: FloatArray) -> None:
        """Let a block of the total follow the change; the change is used up."""
        if self._unit_weight != 1.0:
            change *= self._unit_weight
        total += change

    def _remember_fresh(self) -> None:
        for unit, (support, values, loss) in self._fresh.items():
            self._remember(unit, support, values, loss, self._round)

    def _remember(
        self, unit: int, support: IntArray | None, values: Vector, loss: float, round_: int
    ) -> None:
        """Replace what is known of a unit; the total has to follow."""
        known = self._units[unit]
        self._total_loss += self._unit_weight * (loss - known.loss)
        known.support, known.values, known.loss, known.round = support, values, loss, round_

    def _add_change(
        self,
        unit: int,
        support: IntArray | None,
        values: Vector,
        to: Accumulator | None,
        weighted: Accumulator | None = None,
        weight: float = 1.0,
    ) -> None:
        """Add y - h of a unit to one sum and weight * (y - h) to another."""
        known = self._units[unit]
        if known.round != NEVER and not _same(known.support, support):
            for sum_, its_weight in ((to, 1.0), (weighted, weight)):
                if sum_ is not None:
                    sum_.add(support, values, its_weight)
                    sum_.add(known.support, known.values, -its_weight)
            return
        for block in blocks(len(values)):
            change: FloatArray = self._scratch[: block.stop - block.start]
            if known.round == NEVER:
                np.copyto(change, values[block])
            else:
                np.subtract(values[block], known.values[block], out=change, dtype=np.float64)
            if to is not None:
                to.add_block(block, support, change)
            if weighted is not None:
                change *= weight
                weighted.add_block(block, support, change)


class SagEstimate(SagaEstimate):
    """g_hat = c sum_u h_u after h_u <- y_u for what arrived: biased, no weights, stable.

    Until every unit was seen once, the sum is scaled up by units over units seen.
    """

    weighs_changes = False

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses, and remember what arrived."""
        loss = self._total_loss + self._close(decoding)
        self._remember_fresh()
        n_seen = sum(unit.round != NEVER for unit in self._units)
        scale = self._n_active / n_seen if n_seen else 1.0
        for block in blocks(len(self._gradient)):
            total = self._total.sum[block]
            self._grow(total, self._change.sum[block])
            np.multiply(total, scale, out=self._gradient[block])
        return self._gradient, loss


def _same(one: IntArray | None, other: IntArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or np.array_equal(one, other)
