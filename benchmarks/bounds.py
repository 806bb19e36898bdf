"""What the papers' theorems promise, beside what gradient descent with the real decoders does.

    python benchmarks/bounds.py [--runs 40] [--rounds 300] [--out docs/codes-measured.md]

f is the mean of 30 least-squares task functions, beta = 1 and mu = 0.1, whose minimum and
constants are known. 30 slots hold 3 tasks each and answer in random order; decoders, caches and
stop rules are the product's. sigma is the largest norm of a task's gradient that any run met, so
that the theorems' assumption holds. Each measured number is a mean over the runs, and `holds` says
whether it keeps the bound. The benchmark replaces the text between the page's two markers.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from marked_section import write_section

from erasurehead.arrays import FloatArray
from erasurehead.decoding.base import Decoder
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.shorthands import agc
from erasurehead.schemes.text import parse
from erasurehead.stopping.base import StopRule
from erasurehead.theory.convergence import (
    cached_rounds,
    fixed_weights_bound,
    repetition_bounds,
    simple_bounds,
    svrg_contraction,
    times_to_target,
)
from erasurehead.theory.decode_errors import independent_error
from erasurehead.theory.moments import (
    either_uncovered_probability,
    first_copy_moments,
    second_moment_bound,
    unbiased_error,
    uncovered_probability,
)

N, ROWS, COLUMNS = 30, 10, 20
C, R = 3, 11
BETA, MU = 1.0, 0.1
MANY, LATE = 10, 20
"""c and r for Theorem 3, which allows targets down to 3 c exp(-c r/n) sigma^2/(mu n) only: with
c = 3 and r = 11 that is more than the first gap."""


class Problem:
    """f(x) = (1/n) sum_j f_j(x), f_j(x) = (n/2) ||X_j (x - z_j)||^2, with the spectrum of its
    Hessian from mu to beta."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        u, _, vt = np.linalg.svd(rng.normal(size=(N * ROWS, COLUMNS)), full_matrices=False)
        spectrum = np.sqrt(np.linspace(MU, BETA, COLUMNS))
        flat = (u * spectrum) @ vt
        self.x = flat.reshape(N, ROWS, COLUMNS)
        truth = rng.normal(size=COLUMNS)
        self.y = self.x @ truth + 0.02 * rng.normal(size=(N, ROWS))
        self.best = np.linalg.lstsq(flat, self.y.ravel(), rcond=None)[0]
        self._flat = flat
        self.sigma = 0.0

    def gradients(self, x: FloatArray) -> FloatArray:
        """Return grad f_j / n, shape (n, columns): their sum is grad f."""
        found = np.einsum("jrc,jr->jc", self.x, self.x @ x - self.y)
        self.sigma = max(self.sigma, N * float(np.linalg.norm(found, axis=1).max()))
        return np.asarray(found)

    def gap(self, x: FloatArray) -> float:
        """Return f(x) - f*."""
        return 0.5 * float(np.sum((self._flat @ (x - self.best)) ** 2))


class View:
    """What a stop rule sees."""

    def __init__(self, built_decoder: Decoder, n_arrivals: int) -> None:
        self.decoder, self.n_arrivals = built_decoder, n_arrivals
        self.n_arrived, self.elapsed_s = 0, 0.0


def passes(rng: np.random.Generator, load: int) -> FloatArray:
    """Return when each slot answers, in passes over the data: (c/n) (1 + Exp(1/c))."""
    return load / N * (1.0 + rng.exponential(load, N))


def descend(
    problem: Problem,
    scheme: str,
    step: float,
    rounds: int,
    seed: int,
    late: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return f - f* after each round from 0 on, and when it closed; slots answer in order of
    their times, or each not at all with its probability `late`."""
    rng = np.random.default_rng(seed)
    coding = Coding.of(parse(scheme), N)
    session, estimate = coding.begin(), coding.estimate(COLUMNS)
    load = int(coding.code.loads.max())
    matrix = coding.code.matrix.toarray()
    stop: StopRule = session.stop
    x, gaps, closed = np.zeros(COLUMNS), [problem.gap(np.zeros(COLUMNS))], [0.0]
    for _ in range(rounds):
        times = passes(rng, load)
        if late is not None:
            times[rng.random(N) < late] = np.inf
        order = [slot for slot in np.argsort(times).tolist() if np.isfinite(times[slot])]
        sent = matrix @ problem.gradients(x)
        session.decoder.begin()
        estimate.begin()
        view = View(session.decoder, N)
        for view.n_arrived, slot in enumerate(order, start=1):
            weight = session.decoder.arrive(slot)
            estimate.take(CodedVector(slot, None, sent[slot]), weight)
            if stop.judge(view):
                break
        stop.observe([(s, 0.0) for s in order[: view.n_arrived]], 0.0)
        gradient, _ = estimate.finish(session.decoder.finish())
        x = x - step * gradient
        estimate.absorb()
        gaps.append(problem.gap(x))
        closed.append(closed[-1] + float(times[order[view.n_arrived - 1]]))
    return np.array(gaps), np.array(closed)


@dataclass(frozen=True)
class Row:
    """A line of the table; `relation` is that of the measured number to the formula's."""

    what: str
    source: str
    measured: float
    relation: str
    promised: float

    def __str__(self) -> str:
        room = {"=": 0.05, "≈": 0.25}.get(self.relation)
        if room is None:
            holds = self.measured <= self.promised
        else:
            holds = abs(self.measured - self.promised) <= room * abs(self.promised)
        return (
            f"| {self.what} | {self.source} | {self.measured:.3g} | {self.relation}"
            f" {self.promised:.3g} | {'yes' if holds else '**no**'} |"
        )


def moments(problem: Problem) -> list[Row]:
    """Lemmas 3 and 4 at the first model and near the minimum, over 4,000 rounds each."""
    rows = []
    coding = Coding.of(agc(c=C, r=R, scale="none"), N)
    decoder = coding.begin().decoder
    assert coding.code.groups is not None
    group_of_task = coding.code.groups.of_task
    kept = 1.0 - float(uncovered_probability(N, C, R))
    for where, x in (("at the first model", np.zeros(COLUMNS)), ("at the minimum", problem.best)):
        g = problem.gradients(x)
        rng = np.random.default_rng(1)
        squares, errors = [], []
        for _ in range(4000):
            decoder.begin()
            for slot in rng.permutation(N)[:R].tolist():
                decoder.arrive(slot)
            found = decoder.finish().task_weights @ g
            squares.append(float(found @ found))
            errors.append(float(np.sum((found / kept - g.sum(axis=0)) ** 2)))
        blocks = np.array([g[group_of_task == b].sum(axis=0) for b in range(N // C)])
        norm = float(np.linalg.norm(g.sum(axis=0)))
        sigma = N * float(np.linalg.norm(g, axis=1).max())
        square = float(np.mean(squares))
        rows += [
            Row(f"E‖ĝ‖² {where}", "Lemma 3", square, "=", first_copy_moments(blocks, N, R)[1]),
            Row("", "Lemma 4", square, "≤", second_moment_bound(norm, sigma, N, N, C, R)),
            Row(
                f"E‖ĝ/(1-p) - ∇f‖² {where}",
                "from Lemma 3",
                float(np.mean(errors)),
                "=",
                unbiased_error(blocks, N, R),
            ),
        ]
    return rows


def theorems(problem: Problem, runs: int, rounds: int) -> list[Row]:
    """Theorems 1 and 2: where runs with their two steps end."""
    rows = []
    scheme = f"frc:c={C} / first-copy:scale=none / fraction:r={R}"
    short = 1.0 - float(uncovered_probability(N, C, R))
    for name, step in (("1/β", 1.0), ("(1-p)/β", short)):
        gaps = np.array([descend(problem, scheme, step / BETA, rounds, s)[0] for s in range(runs)])
        start, last = float(gaps[0, 0]), float(gaps.mean(axis=0)[-1])
        index = 0 if name == "1/β" else 1
        one = repetition_bounds(BETA, MU, problem.sigma, N, N, C, R)[index]
        two = simple_bounds(BETA, MU, problem.sigma, N, C, R)[index]
        what = f"E f - f* after {rounds} rounds, step {name}"
        rows += [
            Row(what, "Theorem 1", last, "≤", one.after(rounds, start)),
            Row("", "Theorem 2", last, "≤", two.after(rounds, start)),
        ]
    return rows


def times(problem: Problem, runs: int, rounds: int) -> list[Row]:
    """Theorem 3: passes to a target that its condition allows."""
    kappa = MU / BETA
    start = problem.gap(np.zeros(COLUMNS))
    target = 3 * MANY * math.exp(-MANY * LATE / N) * problem.sigma**2 / (MU * N)
    promised = times_to_target(kappa, start, target, N, MANY, LATE / N)
    approximate = f"frc:c={MANY} / first-copy:scale=none / fraction:r={LATE}"
    step = (1.0 - float(uncovered_probability(N, MANY, LATE))) / BETA
    rows = []
    for name, scheme, eta, bound in (
        ("uncoded", "uncoded", 1.0 / BETA, promised.uncoded),
        (f"exact, c = {MANY}", f"egc:c={MANY}", 1.0 / BETA, promised.exact),
        (f"approximate, c = {MANY}, r = {LATE}", approximate, step, promised.approximate),
    ):
        found = [descend(problem, scheme, eta, rounds, seed) for seed in range(runs)]
        took = [float(closed[np.argmax(gaps <= target)]) for gaps, closed in found]
        assert all((gaps <= target).any() for gaps, _ in found), f"{scheme} misses {target}"
        what = f"passes to {target / start:.2g} of the first gap, {name}"
        rows.append(Row(what, "Theorem 3", float(np.mean(took)), "≤", bound))
    return rows


def others(problem: Problem, runs: int, rounds: int) -> list[Row]:
    """Fixed weights, SVRG and cached decoding."""
    p, step = 0.2, 0.5
    scheme = f"pairwise-balanced:d={C} / fixed:p={p} / deadline:after_s=1"
    late = np.full(N, p)
    code = Coding.of(parse(scheme), N).code
    gaps = np.array([descend(problem, scheme, step, rounds, seed, late)[0] for seed in range(runs)])
    there = code.matrix @ problem.gradients(problem.best)
    first = code.matrix @ problem.gradients(np.zeros(COLUMNS))
    worst = max(independent_error(np.asarray(v), late) for v in (there, first))
    bound = fixed_weights_bound(BETA, MU, step, worst)
    what = f"E f - f* after {rounds} rounds, fixed weights, p = {p}, step 1/(2β)"
    rows = [
        Row(
            what,
            "constant mean squared error",
            float(gaps.mean(axis=0)[-1]),
            "≤",
            bound.after(rounds, float(gaps[0, 0])),
        )
    ]
    chance = float(uncovered_probability(N, C, R))
    both = either_uncovered_probability(N, C, R)
    variance = (both - chance) * C / ((1.0 - chance) ** 2 * N)
    length = 200
    scheme = f"frc:c={C} / first-copy:scale=unbiased / fraction:r={R} / svrg:every={length}"
    gaps = np.array([descend(problem, scheme, 0.2, 2 * length + 1, s)[0] for s in range(runs)])
    shrink = float(gaps.mean(axis=0)[length + 1] / gaps[0, 0])
    promised = svrg_contraction(MU, BETA, 0.2, length, variance)
    rows.append(Row(f"gap left by an SVRG epoch of {length}", "ρ", shrink, "≤", promised))
    step, goal = 1.0 / BETA, 1e-8
    whole, _ = descend(problem, "uncoded", step, rounds, 0)
    needed = int(np.argmax(whole <= goal * whole[0]))
    for name, scheme, renewed in (
        (f"agc, r = {R}", f"agc:c={C},r={R},cache=sag", 1.0 - chance),
        ("uncoded, r = 10", "uncoded:r=10,cache=sag", 10 / N),
        ("uncoded, r = 6", "uncoded:r=6,cache=sag", 6 / N),
        ("uncoded, r = 3", "uncoded:r=3,cache=sag", 3 / N),
    ):
        took = []
        for seed in range(runs):
            gaps, _ = descend(problem, scheme, step, 4 * rounds, seed)
            took.append(int(np.argmax(gaps <= goal * gaps[0])))
        contraction = -np.log(goal) / needed
        factor = float(cached_rounds(np.array([renewed]), contraction)[0])
        what = f"rounds over exact ones', cache, {name}"
        rows.append(Row(what, "`cached_rounds`", float(np.mean(took)) / needed, "≈", factor))
    return rows


def main() -> None:
    """Run, print and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("docs/codes-measured.md"))
    given = parser.parse_args()
    problem = Problem()
    lines = [
        "| measured | formula | mean | promised | holds |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for rows in (
        moments(problem),
        theorems(problem, given.runs, given.rounds),
        times(problem, given.runs, given.rounds),
        others(problem, given.runs, given.rounds),
    ):
        lines += [str(row) for row in rows]
        print("\n".join(str(row) for row in rows), flush=True)
    write_section(given.out, "bounds-table", "\n".join(lines))


if __name__ == "__main__":
    main()
