"""How long is the master's step with L-BFGS, beside a plain cached step?

    python benchmarks/step_cost.py [--columns 241915] [--support 90000] [--units 10]
        [--arrivals 3] [--rounds 200] [--page docs/optimisers.md]

A quadratic whose units have some of the columns each; gradients of random units arrive, and both
methods are fed alike. A step is what the master does from the last arrival until the next point is
known: it sums up what is remembered, learns from it, and moves. What anchored L-BFGS does while it
waits (looking ahead to units that can arrive) is told beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from marked_section import table, write_section

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.two_cores import TwoCores

WARM_UP = 30
"""Rounds, after which there are ten pairs."""

COMMON = 0.3
"""Share of a unit's columns that all have."""

PLAIN = "gradient-descent"
METHODS_SHOWN = (PLAIN, "diagonal", "anchored-lbfgs")


@dataclass(frozen=True)
class Diagonal:
    """f(theta) = sum_u 1/2 (theta - b)·C_u (theta - b), C_u on the unit's columns.

    Attributes
    ----------
    supports: of each unit, ascending.
    curvatures: the diagonal of C_u, of a support's length.
    best: b, shape (columns,).
    """

    supports: Sequence[IntArray]
    curvatures: Sequence[FloatArray]
    best: FloatArray

    bounded = measured = True

    def by_parameter(self) -> FloatArray:
        """Return the diagonal of the Hessian."""
        total = np.zeros(len(self.best))
        for support, values in zip(self.supports, self.curvatures, strict=True):
            total[support] += values
        return total

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        """Return the largest eigenvalue in a metric."""
        diagonal = self.by_parameter() + (0.0 if besides is None else besides)
        return float((diagonal if metric is None else diagonal / metric).max())

    def sent(self, unit: int, theta: FloatArray) -> CodedVector:
        """Return what a unit sends."""
        support, curvature = self.supports[unit], self.curvatures[unit]
        away = theta[support] - self.best[support]
        slope = curvature * away
        return CodedVector(unit, support, slope, 0.5 * float(slope @ away))


def make_problem(columns: int, support: int, units: int) -> Diagonal:
    """Return a quadratic with a condition number of 10^4."""
    rng = np.random.default_rng(0)
    order = rng.permutation(columns)
    n_common = int(COMMON * support)
    supports, curvatures = [], []
    for _ in range(units):
        own = rng.permutation(columns - n_common)[: support - n_common] + n_common
        held = np.sort(order[np.concatenate([np.arange(n_common), own])])
        supports.append(held)
        curvatures.append(10.0 ** rng.uniform(-4, 0, len(held)))
    return Diagonal(supports, curvatures, rng.standard_normal(columns))


def make_descent(optimizer: str, problem: Diagonal, arrivals: int) -> Descent:
    """Return what moves a model, as a master has it."""
    units, columns = len(problem.supports), len(problem.best)

    def curvatures() -> list[UnitCurvature]:
        pairs = zip(problem.supports, problem.curvatures, strict=True)
        return [
            UnitCurvature(None if len(support) == columns else support, values)
            for support, values in pairs
        ]

    kind = RoundKind(False, units, float(arrivals), curvatures)
    asked = Problem(np.zeros(columns), L2(1e-6), problem, kind)
    method = METHODS.build(optimizer, asked)
    size = method.unit if isinstance(method.unit, float) else 1.0 / problem.largest()
    code = CODES.build("uncoded", units, None, np.random.default_rng(0))
    estimate = ESTIMATES.build("sag", code, columns, False)
    return Descent(method, Constant(eta=size), estimate, 1, TwoCores().do)


def measure(
    optimizer: str, problem: Diagonal, arrivals: int, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """Return the seconds of each step, and of looking ahead in each round."""
    units = len(problem.supports)
    descent = make_descent(optimizer, problem, arrivals)
    rng = np.random.default_rng(1)
    step_s, ahead_s = [], []
    for round_ in range(1, WARM_UP + rounds + 1):
        due = [unit for slots in descent.begin() for unit in slots]
        begun = time.perf_counter()
        while descent.has_work:
            descent.work()
        ahead_s.append(time.perf_counter() - begun)
        heard = list(dict.fromkeys([*rng.permutation(units)[:arrivals].tolist(), *due]))
        theta = descent.slice(None)
        for unit in heard:
            descent.estimate.take(problem.sent(unit, theta), 1.0)
        weights = np.isin(np.arange(units), heard).astype(float)
        error = float(np.mean((weights - 1.0) ** 2))
        decoding = Decoding(1.0, weights, error, 1.0, units - len(heard), {})
        begun = time.perf_counter()
        outcome = descent.step(decoding, round_)
        step_s.append(time.perf_counter() - begun)
        assert outcome.diverged is None
    return np.array(step_s[WARM_UP:]), np.array(ahead_s[WARM_UP:])


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--columns", type=int, default=241_915)
    parser.add_argument("--support", type=int, default=90_000)
    parser.add_argument("--units", type=int, default=10)
    parser.add_argument("--arrivals", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    rows = []
    plain_s = np.nan
    for what, support in ((f"{given.support:,} columns", given.support), ("all", given.columns)):
        problem = make_problem(given.columns, support, given.units)
        for optimizer in METHODS_SHOWN:
            step_s, ahead_s = measure(optimizer, problem, given.arrivals, given.rounds)
            middle_s = float(np.median(step_s))
            plain_s = middle_s if optimizer == PLAIN else plain_s
            quarters = np.quantile(step_s, (0.25, 0.75)) * 1e3
            rows.append(
                [
                    f"{optimizer}, units on {what}",
                    f"{middle_s * 1e3:.2f} ms ({quarters[0]:.2f} to {quarters[1]:.2f})",
                    f"{np.median(ahead_s) * 1e3:.2f} ms",
                    f"{middle_s / plain_s:.2f}",
                ]
            )
            print(" | ".join(rows[-1]), flush=True)
    head = ["method", "step", "meanwhile", "over gradient descent"]
    said = (
        f"{given.columns:,} parameters, {given.units} units, {given.arrivals} arrivals a round, ten"
        " pairs; medians (quartiles)"
    )
    text = f"{said}.\n\n{table(head, rows)}"
    print(text)
    if given.page is not None:
        write_section(given.page, "step-cost", text)


if __name__ == "__main__":
    main()
