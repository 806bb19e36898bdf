"""How long is the master's step with L-BFGS, beside a plain cached step?

    python benchmarks/step_cost.py [--columns 241915] [--support 90000] [--units 10]
        [--arrivals 3] [--rounds 200] [--one-core] [--page docs/optimisers.md]

A quadratic whose units have some of the columns each; gradients of random units arrive, and all
methods are fed alike, in turns. The *path* of a step is what the master does from the round's last
result until the next point is known: it takes the result, sums up what is remembered, learns from
it, and moves. The *whole* step is that and what it did with the round's earlier results when they
came. What anchored L-BFGS does before any has come (looking ahead to units that can arrive) is told
beside it, and as a bound what it takes to read ten pairs twice and to do a plain step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from marked_section import table, write_section

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.newton_steps import PAIRS
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead.parts import CHUNK, InParts, at_once
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.two_cores import TwoCores
from erasurehead_master.shell.allocator import keep_freed_memory

WARM_UP = 30
"""Rounds, after which there are ten pairs."""

TURN = 10
"""Rounds of one method, before it is another's turn."""

COMMON = 0.3
"""Share of a unit's columns that all have."""

PLAIN = "gradient-descent"
METHODS_SHOWN = (PLAIN, "diagonal", "anchored-lbfgs")


@dataclass
class Clock:
    """How work is done and timed: on two cores and by the wall; or on one and by its processor
    time, which tells the same on a busy machine."""

    in_parts: InParts
    seconds: Callable[[], float]


CLOCK = Clock(TwoCores().do, time.perf_counter)


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
    return Descent(method, Constant(eta=size), estimate, 1, CLOCK.in_parts)


class PairsRead:
    """What any step must do that goes along a combination of ten pairs whose weights depend on
    their products with the gradient: read them twice.

    Attributes
    ----------
    seconds: of reading them twice.
    """

    def __init__(self, columns: int) -> None:
        self._blocks = np.ones((-(-columns // CHUNK), 2 * PAIRS * CHUNK), dtype="f4")
        self._columns = columns
        self.seconds: list[float] = []

    def play(self, times: int) -> None:
        """Read them so often."""

        def read(part: slice) -> None:
            self._blocks[part.start // CHUNK : -(-part.stop // CHUNK)].max()

        for _ in range(times):
            begun = CLOCK.seconds()
            CLOCK.in_parts(self._columns, read)
            CLOCK.in_parts(self._columns, read)
            self.seconds.append(CLOCK.seconds() - begun)


class Played:
    """A run of a method, round by round.

    Parameters
    ----------
    optimizer: the method's name.
    problem: what units send.
    arrivals: how many units a round closes after, besides those that are due.

    Attributes
    ----------
    path_s: seconds of each step's path: taking the round's last result, summing up, moving, and
        beginning the next round.
    whole_s: those, and of what was done with the round's other results before the last one came.
    ahead_s: of looking ahead to all units before any result came.
    """

    def __init__(self, optimizer: str, problem: Diagonal, arrivals: int) -> None:
        self._descent = make_descent(optimizer, problem, arrivals)
        self._problem, self._arrivals, self._round = problem, arrivals, 0
        self._rng = np.random.default_rng(1)
        self._due = self._descent.begin()
        self.path_s: list[float] = []
        self.whole_s: list[float] = []
        self.ahead_s: list[float] = []

    def play(self, rounds: int, *, counts: bool = True) -> None:
        """Play some rounds, whether or not they count."""
        for _ in range(rounds):
            ahead_s, early_s, path_s = self._play()
            if counts:
                self.ahead_s.append(ahead_s)
                self.whole_s.append(early_s + path_s)
                self.path_s.append(path_s)

    def _play(self) -> tuple[float, float, float]:
        descent, units = self._descent, len(self._problem.supports)
        self._round += 1
        due = [unit for slots in self._due for unit in slots]
        ahead_s = self._wait()
        first = self._rng.permutation(units)[: self._arrivals].tolist()
        heard = list(dict.fromkeys([*first, *due]))
        theta = descent.slice(None)
        sent = [self._problem.sent(unit, theta) for unit in heard]
        weights = np.isin(np.arange(units), heard).astype(float)
        error = float(np.mean((weights - 1.0) ** 2))
        decoding = Decoding(1.0, weights, error, 1.0, units - len(heard), {})
        early_s = 0.0
        for vector in sent[:-1]:
            begun = CLOCK.seconds()
            descent.take(vector, 1.0)
            early_s += CLOCK.seconds() - begun + self._wait()
        begun = CLOCK.seconds()
        descent.take(sent[-1], 1.0)
        outcome = descent.step(decoding, self._round)
        self._due = descent.begin()
        path_s = CLOCK.seconds() - begun
        assert outcome.diverged is None
        return ahead_s, early_s, path_s

    def _wait(self) -> float:
        """Do what a master does while it waits; return the seconds that takes."""
        begun = CLOCK.seconds()
        while self._descent.has_work:
            self._descent.work()
        return CLOCK.seconds() - begun


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
    parser.add_argument("--one-core", action="store_true", help="and processor time")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    keep_freed_memory()
    if given.one_core:
        CLOCK.in_parts, CLOCK.seconds = at_once, time.thread_time
    rows = []
    for what, support in ((f"{given.support:,} columns", given.support), ("all", given.columns)):
        problem = make_problem(given.columns, support, given.units)
        played = {name: Played(name, problem, given.arrivals) for name in METHODS_SHOWN}
        pairs = PairsRead(given.columns)
        for run in played.values():
            run.play(WARM_UP, counts=False)
        for _ in range(0, given.rounds, TURN):
            for run in played.values():
                run.play(TURN)
            pairs.play(TURN)
        plain_s = float(np.median(played[PLAIN].path_s))
        read_s = float(np.median(pairs.seconds))
        for name, run in played.items():
            path_s, whole_s = float(np.median(run.path_s)), float(np.median(run.whole_s))
            rows.append(
                [
                    f"{name}, units on {what}",
                    of_seconds(run.path_s),
                    of_seconds(run.whole_s),
                    f"{np.median(run.ahead_s) * 1e3:.2f} ms",
                    f"{path_s / plain_s:.2f}",
                    f"{whole_s / plain_s:.2f}",
                ]
            )
            print(" | ".join(rows[-1]), flush=True)
        floor = f"{1.0 + read_s / plain_s:.2f}"
        name = "a plain step, and reading ten pairs twice"
        rows.append([name, of_seconds(pairs.seconds, plain_s), "-", "-", floor, "-"])
        print(" | ".join(rows[-1]), flush=True)
    head = ["method", "path", "whole", "ahead", "path over plain", "whole over plain"]
    said = (
        f"{given.columns:,} parameters, {given.units} units, {given.arrivals} arrivals a round, ten"
        f" pairs, {'processor time of one core' if given.one_core else 'two cores'}; medians"
        f" (quartiles) of {given.rounds} rounds, in turns of {TURN}; *plain* is the path of {PLAIN}"
    )
    text = f"{fill(f'{said}.', 100)}\n\n{table(head, rows)}"
    print(text)
    if given.page is not None:
        write_section(given.page, "step-cost", text)


def of_seconds(seconds: list[float], besides: float = 0.0) -> str:
    """Return the median and the quartiles, in ms."""
    low, middle, high = (np.quantile(seconds, (0.25, 0.5, 0.75)) + besides) * 1e3
    return f"{middle:.2f} ms ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
