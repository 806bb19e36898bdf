"""Least squares on a few rows in units, as a master without workers plays its rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.optimizing.base import Method, Problem, RoundKind
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import RunTimes
from tests.support.quadratic import KnownCurvature

MakeMethod = Callable[[Problem], Method]


class PlayedUnits:
    """Equal parts of some rows, each the unit of one slot.

    Parameters
    ----------
    rows: shape (N, n_parameters).
    make_method: from the problem.
    n_units: N must be a multiple of it.
    on_supports: a unit sends the columns that its rows touch.
    dtype: of the gradients that are sent.
    knows_units: the method is told how units curve.
    """

    def __init__(
        self,
        rows: FloatArray,
        labels: FloatArray,
        make_method: MakeMethod,
        n_units: int,
        l2: float,
        *,
        units_a_round: float = 1.0,
        on_supports: bool = False,
        dtype: str = "f8",
        knows_units: bool = False,
    ) -> None:
        self.rows, self.labels, self.n_units, self.l2 = rows, labels, n_units, l2
        self._on_supports, self._dtype = on_supports, dtype
        self.parts = np.split(np.arange(len(rows)), n_units)
        hessian = KnownCurvature(rows.T @ rows / len(rows))
        curvatures = self._curvatures if knows_units else None
        kind = RoundKind(False, n_units, units_a_round, curvatures)
        start = np.zeros(rows.shape[1])
        self.method = make_method(Problem(start, L2(l2), hessian, kind))
        code = CODES.build("uncoded", n_units, None, np.random.default_rng(0))
        estimate = ESTIMATES.build("sag", code, len(start), False)
        self.descent = Descent(self.method, Constant(eta=1.0), estimate, len(rows))
        self.round = 0

    def value(self, theta: FloatArray, units: Sequence[int] | None = None) -> float:
        """Return the objective, of all units or as some of them stand for all."""
        held = self._rows_of(units)
        residual = self.rows[held] @ theta - self.labels[held]
        return float(0.5 * np.mean(residual**2) + 0.5 * self.l2 * theta @ theta)

    def best(self, units: Sequence[int] | None = None) -> FloatArray:
        """Return the minimum of `value`."""
        held = self._rows_of(units)
        X, y = self.rows[held], self.labels[held]
        H = X.T @ X / len(X) + self.l2 * np.eye(X.shape[1])
        return np.asarray(np.linalg.solve(H, X.T @ y / len(X)))

    def play(self, *units: int, spoil: Callable[[FloatArray], FloatArray] | None = None) -> None:
        """Let a round close in which these have arrived, the first perhaps with other values."""
        self.descent.begin()
        self.close(*units, spoil=spoil)

    def play_on(self, *units: int, spoil: Callable[[FloatArray], FloatArray] | None = None) -> None:
        """Let a round close in which these have arrived, and then those that were waited for."""
        due = [unit for slots in self.descent.begin() for unit in slots]
        self.close(*dict.fromkeys([*units, *due]), spoil=spoil)

    def close(
        self,
        *units: int,
        spoil: Callable[[FloatArray], FloatArray] | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """Let the round that has begun close; after each arrival, do what comes between."""
        self.round += 1
        theta = self.descent.slice(None)
        for unit in units:
            values, support, loss = self.sent(unit, theta)
            if spoil is not None and unit == units[0]:
                values = spoil(values)
            self.descent.take(CodedVector(unit, support, values.astype(self._dtype), loss), 1.0)
            between()
        weights = np.isin(np.arange(self.n_units), units).astype(float)
        error = float(np.mean((weights - 1) ** 2))
        decoding = Decoding(1.0, weights, error, 1.0, self.n_units - len(units), {})
        self.outcome = self.descent.step(decoding, self.round)
        assert self.outcome.diverged is None

    def late(self, unit: int, theta: FloatArray, age: int) -> None:
        """Let a result reach the round that has begun that was asked for at theta, so many rounds
        before it."""
        values, support, loss = self.sent(unit, theta)
        self.descent.late(CodedVector(unit, support, values.astype(self._dtype), loss), age)

    def sent(self, unit: int, theta: FloatArray) -> tuple[FloatArray, np.ndarray | None, float]:
        """Return a unit's gradient, where it is from zero, and its loss."""
        X, y = self.rows[self.parts[unit]], self.labels[self.parts[unit]]
        residual = X @ theta - y
        values, support = X.T @ residual, None
        if self._on_supports:
            support = np.flatnonzero(X.any(axis=0))
            values = values[support]
        return values, support, float(0.5 * residual @ residual)

    def resume(self, other: PlayedUnits) -> None:
        """Go on from a checkpoint of another."""
        taken = Snapshot(other.round, "run", RunTimes(), other.descent.state())
        self.descent.load_state(taken.part, same_code=True)
        self.round = other.round

    def state(self, *owners: str) -> dict[str, FloatArray]:
        """Return the arrays of these owners, without the number of the round."""
        return {
            key: value
            for key, value in self.descent.state().items()
            if key.partition("/")[0] in owners and key != "estimate/round"
        }

    def _curvatures(self) -> list[UnitCurvature]:
        squares = [(self.rows[part] ** 2).sum(axis=0) / len(self.rows) for part in self.parts]
        return [UnitCurvature(np.flatnonzero(of), of[of > 0]) for of in squares]

    def _rows_of(self, units: Sequence[int] | None) -> np.ndarray:
        return np.concatenate([self.parts[u] for u in (units or range(self.n_units))])


def some_units(
    make_method: MakeMethod,
    n_units: int = 8,
    n_parameters: int = 12,
    seed: int = 0,
    l2: float = 1e-3,
    **options: object,
) -> PlayedUnits:
    """Play rows whose columns are of sizes from 0.1 to 3, a third of their entries at hand."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(0.1, 3.0, n_parameters)
    rows = rng.normal(size=(6 * n_units, n_parameters)) * sizes
    rows *= rng.random(rows.shape) < 1 / 3
    labels = rows @ rng.normal(size=n_parameters) + 0.1 * rng.normal(size=len(rows))
    return PlayedUnits(rows, labels, make_method, n_units, l2, **options)  # type: ignore[arg-type]


def same(one: dict[str, FloatArray], other: dict[str, FloatArray]) -> bool:
    """Return whether two states have the same bits."""
    return one.keys() == other.keys() and all(
        one[key].tobytes() == other[key].tobytes() for key in one
    )
