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
from erasurehead.decoding.estimate import Accumulator, GradientEstimate, Vector
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

    Memory: one vector a unit, and two of all columns. Values that are held or fresh are referred
    to until the round closes and copied then.

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
        self._total_loss = 0.0
        self._round = 0
        self._scratch: FloatArray = np.empty(0)
        self._fresh: dict[int, tuple[IntArray | None, Vector, float]] = {}
        self._held: dict[int, tuple[IntArray | None, Vector, float]] = {}

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self._round += 1
        self._change.clear()
        self._change_loss = 0.0
        self._fresh = {}
        self._held = {}

    def fold(
        self, symbol: int, support: IntArray | None, values: Vector, weight: float, loss: float = 0
    ) -> None:
        """Add a symbol whose weight is known."""
        unit = self._unit_of_symbol[symbol]
        self._change_loss += weight * (loss - self._units[unit].loss)
        if self.weighs_changes:
            self._add_change(self._change, unit, support, values, weight)
        self._fresh.setdefault(unit, (support, values, loss))

    def hold(self, symbol: int, support: IntArray | None, values: Vector, loss: float = 0) -> None:
        """Keep a symbol whose weight is known only when the round closes."""
        self._held[symbol] = (support, values, loss)
        self._fresh.setdefault(self._unit_of_symbol[symbol], (support, values, loss))

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses, and remember what arrived."""
        loss = self._total_loss + self._finish_change(decoding)
        self._change.sum += self._total.sum
        self._remember_fresh()
        return self._change.sum, loss

    def late(self, symbol: int, support: IntArray | None, values: Vector, age: int = 1) -> None:
        """Remember a stale result if it is newer than what is remembered."""
        unit = self._unit_of_symbol[symbol]
        if unit not in self._fresh and self._round - age > self._units[unit].round:
            self._remember(unit, support, values, self._units[unit].loss, self._round - age)

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

    def _finish_change(self, decoding: Decoding) -> float:
        """Complete D(y - h) for gradients in place; return it for losses."""
        if decoding.scale != 1.0:
            self._change.sum *= decoding.scale
        loss = decoding.scale * self._change_loss
        for symbol in sorted(self._held):
            weight = decoding.held.get(symbol, 0.0)
            if weight != 0.0:
                support, values, its_loss = self._held[symbol]
                unit = self._unit_of_symbol[symbol]
                if self.weighs_changes:
                    self._add_change(self._change, unit, support, values, weight)
                loss += weight * (its_loss - self._units[unit].loss)
        return loss

    def _remember_fresh(self) -> None:
        for unit, (support, values, loss) in self._fresh.items():
            self._remember(unit, support, values, loss, self._round)
        self._fresh = {}
        self._held = {}

    def _remember(
        self, unit: int, support: IntArray | None, values: Vector, loss: float, round_: int
    ) -> None:
        self._add_change(self._total, unit, support, values, self._unit_weight)
        known = self._units[unit]
        self._total_loss += self._unit_weight * (loss - known.loss)
        if known.values.shape == values.shape and known.values.dtype == values.dtype:
            np.copyto(known.values, values)
        else:
            known.values = values.copy()
        known.support, known.loss, known.round = support, loss, round_

    def _add_change(
        self,
        to: Accumulator,
        unit: int,
        support: IntArray | None,
        values: Vector,
        weight: float,
    ) -> None:
        """Add weight * (values - remembered) of a unit."""
        known = self._units[unit]
        if known.round == NEVER:
            to.add(support, values, weight)
        elif _same(known.support, support):
            if len(self._scratch) < len(values):
                self._scratch = np.empty(len(values))
            change = self._scratch[: len(values)]
            np.subtract(values, known.values, out=change, dtype=np.float64)
            to.add(support, change, weight)
        else:
            to.add(support, values, weight)
            to.add(known.support, known.values, -weight)


class SagEstimate(SagaEstimate):
    """g_hat = c sum_u h_u after h_u <- y_u for what arrived: biased, no weights, stable.

    Until every unit was seen once, the sum is scaled up by units over units seen.
    """

    weighs_changes = False

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses, and remember what arrived."""
        loss = self._total_loss + self._finish_change(decoding)
        self._remember_fresh()
        n_seen = sum(unit.round != NEVER for unit in self._units)
        scale = self._n_active / n_seen if n_seen else 1.0
        np.multiply(self._total.sum, scale, out=self._change.sum)
        return self._change.sum, loss


def _same(one: IntArray | None, other: IntArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or np.array_equal(one, other)
