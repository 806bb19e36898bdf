"""What do the master's decode and step cost, beside one numpy sum of the same arrivals?

    python benchmarks/decoding_cost.py [--columns 241915] [--workers 30] [--rounds 100]

For every estimate: the decoder's weights, folding each arrival, finishing, and the method's step
(gradient descent with a penalty), in one process and without a wire. Beside it, on the same arrays
in the same run and taking turns: adding the arrivals up with numpy. The ratio is that of one round
to the sum just before it; its median and quartiles over all rounds, since machines are shared.
Dense arrivals have all columns. Sparse ones have the columns that a worker with c tasks touches:
some common to all, the rest its own; they are added in numpy's quickest way, `np.add.at`.

Last, what numpy takes, with one thread, for two things that caches are there to save: adding up
twice as many vectors as arrive (half arrives and the other half is remembered, so all are read),
and a plain and a weighted sum of the arrivals.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.decoding.base import Decoder
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.sums import Accumulator
from erasurehead.models.least_squares import LeastSquares
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.gradient_descent import GradientDescent
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant
from erasurehead.process.cores import usable_cores
from erasurehead.rows import CsrRows
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.two_cores import TwoCores

SEED = 0
WARM_UP = 3
COMMON = 0.1
"""Share of all columns that every sparse support holds."""

SCHEMES = (
    ("uncoded", "{k}"),
    ("uncoded / first-copy:scale=unbiased / fraction:r={k} / sum", "{k}"),
    ("uncoded / first-copy:scale=coverage / fraction:r={k} / saga", "{k}"),
    ("uncoded / first-copy:scale=coverage / fraction:r={k} / sag", "{k}"),
    ("uncoded / first-copy:scale=coverage / fraction:r={half} / saga", "{half}"),
    ("frc:c=3 / first-copy:scale=coverage / fraction:r={half} / saga", "{half}"),
    ("cyclic-mds:s=1 / least-squares / exact", "{k}"),
    ("cyclic-sums:c=1 / circular / exact / saga", "{k}"),
    ("uncoded / fixed:p=UNEQUAL / fraction:r={k} / saga", "{k}"),
)
"""Schemes and how many of the workers arrive."""


@dataclass(frozen=True)
class Arrivals:
    """What the workers send: two rounds' values, and the supports they are on."""

    supports: list[IntArray | None]
    values: list[list[FloatArray]]


def dense(workers: int, columns: int) -> Arrivals:
    """Values on all columns."""
    rng = np.random.default_rng(SEED)
    values = [[rng.standard_normal(columns) for _ in range(workers)] for _ in range(2)]
    return Arrivals([None] * workers, values)


def sparse(workers: int, columns: int, support: int) -> Arrivals:
    """Values on `support` columns each."""
    rng = np.random.default_rng(SEED)
    n_common = int(COMMON * columns)
    common = rng.permutation(columns)
    supports: list[IntArray | None] = []
    for _ in range(workers):
        own = rng.permutation(columns - n_common)[: support - n_common]
        held = np.concatenate([common[:n_common], common[n_common:][own]])
        supports.append(np.sort(held).astype(np.intp))
    values = [[rng.standard_normal(support) for _ in range(workers)] for _ in range(2)]
    return Arrivals(supports, values)


def numpy_sum(
    arrivals: Arrivals, values: list[FloatArray], slots: list[int], total: FloatArray
) -> None:
    """Add the arrivals up, sparse ones in numpy's quickest way."""
    total[:] = 0.0
    for slot in slots:
        support = arrivals.supports[slot]
        if support is None:
            total += values[slot]
        else:
            np.add.at(total, support, values[slot])


def master_round(
    decoder: Decoder,
    descent: Descent,
    arrivals: Arrivals,
    values: list[FloatArray],
    slots: list[int],
    round_: int,
) -> None:
    """Do what the master does between opening a round and the next."""
    decoder.begin()
    descent.begin()
    for slot in slots:
        weight = decoder.arrive(slot)
        descent.estimate.take(CodedVector(slot, arrivals.supports[slot], values[slot], 1.0), weight)
    outcome = descent.step(decoder.finish(), round_)
    assert outcome.diverged is None


def spent_s(work: Callable[[], None]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(
    text: str, n_arrivals: int, arrivals: Arrivals, columns: int, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """Return the seconds of the master's rounds and of the plain sums before them."""
    workers = len(arrivals.supports)
    rng = np.random.default_rng(SEED)
    coding = Coding.of(parse(text), workers, seed=SEED)
    decoder, estimate = coding.begin().decoder, coding.estimate(columns)
    no_rows = CsrRows(np.zeros(1, int), np.zeros(0, int), None, np.zeros(0), columns)
    problem = Problem(np.zeros(columns), L2(1e-6), RowsCurvature(LeastSquares(columns), no_rows))
    descent = Descent(GradientDescent(problem), Constant(eta=1e-9), estimate, 26_215, TwoCores().do)
    total = np.zeros(columns)
    decoding_s, sum_s = [], []
    for round_ in range(1, WARM_UP + rounds + 1):
        values = arrivals.values[round_ % 2]
        slots = rng.permutation(workers)[:n_arrivals].tolist()
        if coding.exact:
            slots.sort()  # the order in which exact sums are folded anyway

        def plain(v: list[FloatArray] = values, s: list[int] = slots) -> None:
            numpy_sum(arrivals, v, s, total)

        def decode(v: list[FloatArray] = values, s: list[int] = slots, t: int = round_) -> None:
            master_round(decoder, descent, arrivals, v, s, t)

        sum_s.append(spent_s(plain))
        decoding_s.append(spent_s(decode))
    # The first rounds allocate and fill caches.
    return np.array(decoding_s[WARM_UP:]), np.array(sum_s[WARM_UP:])


def floors(arrivals: Arrivals, columns: int, rounds: int) -> tuple[FloatArray, FloatArray]:
    """Return the ratios, to a plain sum, of summing twice as many and of two sums."""
    values, everybody = arrivals.values[0], list(range(len(arrivals.supports)))
    total, weighted = np.zeros(columns), Accumulator(columns)

    def plain(slots: list[int]) -> None:
        numpy_sum(arrivals, values, slots, total)

    def two_sums() -> None:
        plain(everybody)
        weighted.clear()
        for slot in everybody:
            weighted.add(arrivals.supports[slot], values[slot], 0.01 * (slot + 1))

    works = (partial(plain, everybody[::2]), partial(plain, everybody), two_sums)
    half_s, all_s, two_s = np.array([[spent_s(w) for w in works] for _ in range(rounds)]).T
    return all_s / half_s, two_s / all_s


def median_and_quartiles(ratios: FloatArray) -> str:
    """Format the middle of what was measured."""
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--columns", type=int, default=241_915)
    parser.add_argument("--support", type=int, default=90_000)
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    cases = {
        "dense": dense(given.workers, given.columns),
        f"{given.support} columns": sparse(given.workers, given.columns, given.support),
    }
    k, half = given.workers, given.workers // 2
    unequal = "/".join(f"{0.1 + 0.2 * i / k:.3f}" for i in range(k))
    print(f"{usable_cores()} cores\n")
    print("| supports | arrivals | scheme | decode and step, ms | numpy sum, ms | ratio |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for what, arrivals in cases.items():
        for template, count in SCHEMES:
            text = template.format(k=k, half=half)
            n_arrivals = int(count.format(k=k, half=half))
            scheme = text.replace("UNEQUAL", unequal)
            decoding_s, sum_s = measure(scheme, n_arrivals, arrivals, given.columns, given.rounds)
            print(
                f"| {what} | {n_arrivals} | `{text.replace('UNEQUAL', '0.1/.../0.3')}` |"
                f" {np.median(decoding_s) * 1e3:.1f} | {np.median(sum_s) * 1e3:.1f} |"
                f" {median_and_quartiles(decoding_s / sum_s)} |",
                flush=True,
            )
    for what, arrivals in cases.items():
        twice, two = map(median_and_quartiles, floors(arrivals, given.columns, given.rounds))
        print(f"{what}: summing twice as many vectors as arrive  {twice}")
        print(f"{what}: a plain and a weighted sum  {two}")


if __name__ == "__main__":
    main()
