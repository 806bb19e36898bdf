"""How much of the rounding of messages a decoded gradient shows, by which stragglers are missing.

The condition number is a poor guide: the real cyclic MDS code has a larger one than the complex
code and amplifies eighty times less at the median. Nor is there one kind of set that is the worst
of every code: neighbouring slots are the worst stragglers of cyclic MDS codes, and among the most
harmless ones of random cyclic repetition. So sets are looked for, by exchanging one slot at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.base import GradientCode

PLACES = 8
"""Runs of neighbouring slots that are tried, evenly spread over the slots."""

SEARCHED_WORKERS = 100
"""Codes of more are not searched for bad sets, which takes some solutions for each straggler."""

SEARCHED_STRAGGLERS = 12
"""Nor are those of more stragglers."""

TRIES = 4
"""Exchanges of each straggler in a quick search."""

MEASURED_SETS, MEASURED_TRIES = 300, 12
"""Random sets, and exchanges of each straggler in either sweep, of a thorough search."""


@dataclass(frozen=True)
class Amplification:
    """The amplification max_j sum_i |w_i| |A[i, j]| over sets of s stragglers.

    Attributes
    ----------
    median, high: the median and the 99th percentile over random sets.
    neighbours: the most over sets of neighbouring slots.
    worst: the most over all sets that were tried, and the outcome of a search from the worst ones.
    """

    median: float
    high: float
    neighbours: float
    worst: float


class StragglerSets:
    """Sets of `s` stragglers of a code that is decoded by least squares.

    A set is the numbers of its slots, shape (s,).

    Parameters
    ----------
    code: with k slots, of which s are missing.
    rng: draws sets and exchanges.
    """

    def __init__(self, code: GradientCode, s: int, rng: np.random.Generator) -> None:
        self._code = code
        self._matrix: FloatArray = code.matrix.toarray()
        self._s = s
        self._rng = rng

    def weights(self, late: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the least-squares weights of what arrives without these slots, and its rows.

        Shapes (symbols,) and (symbols, n) for the symbols of the other slots.
        """
        here = np.ones(self._code.n_workers, dtype=bool)
        here[late] = False
        rows = self._matrix[np.repeat(here, self._code.symbols_per_slot)]
        return np.linalg.lstsq(rows.T, np.ones(self._code.n_tasks), rcond=None)[0], rows

    def amplification(self, late: IntArray) -> float:
        """Return max_j sum_i |w_i| |A[i, j]| without these slots."""
        weights, rows = self.weights(late)
        return float((np.abs(weights) @ np.abs(rows)).max(initial=0.0))

    def decode_error(self, late: IntArray) -> float:
        """Return ||alpha - 1||^2 / n without these slots, which is rounding if they are allowed."""
        weights, rows = self.weights(late)
        return float(np.mean((weights @ rows - 1.0) ** 2))

    def random(self, n_sets: int) -> list[IntArray]:
        """Return `n_sets` random sets."""
        return [self._rng.permutation(self._code.n_workers)[: self._s] for _ in range(n_sets)]

    def neighbours(self, n_places: int) -> list[IntArray]:
        """Return runs of slots in a row, evenly spread."""
        k = self._code.n_workers
        places = np.linspace(0, k, min(k, n_places), endpoint=False, dtype=int)
        return [(place + np.arange(self._s)) % k for place in places]

    def exchanged(self, late: IntArray, tries: int) -> IntArray:
        """Return a set that amplifies at least as much, by exchanging each slot in turn.

        Parameters
        ----------
        tries: other slots that are tried in the place of each.
        """
        late, most = late.copy(), self.amplification(late)
        for i in range(len(late)):
            others = np.setdiff1d(np.arange(self._code.n_workers), late)
            for other in self._rng.permutation(others)[:tries]:
                changed = late.copy()
                changed[i] = other
                found = self.amplification(changed)
                if found > most:
                    late, most = changed, found
        return late


def is_searched(n_workers: int, s: int) -> bool:
    """Return whether a quick look searches for the worst sets of s stragglers."""
    return n_workers <= SEARCHED_WORKERS and s <= SEARCHED_STRAGGLERS


def typical(code: GradientCode, s: int) -> float:
    """Return the median amplification over some random sets of s stragglers."""
    sets = StragglerSets(code, s, np.random.default_rng(0))
    return float(np.median([sets.amplification(late) for late in sets.random(20)]))


def likely_worst(code: GradientCode) -> float:
    """Return an amplification that a code reaches without as many slots as it tolerates.

    The search takes a tenth of a second; of larger codes two runs of neighbours are tried, and one
    random set.
    """
    if code.groups is not None or code.tolerance == 0:
        return 1.0
    small = is_searched(code.n_workers, code.tolerance)
    sets = StragglerSets(code, code.tolerance, np.random.default_rng(0))
    late = [*sets.random(20 if small else 1), *sets.neighbours(PLACES if small else 2)]
    found = [sets.amplification(each) for each in late]
    if small:
        found.append(sets.amplification(sets.exchanged(late[int(np.argmax(found))], TRIES)))
    return max(found)


def measure_amplification(code: GradientCode, s: int, rng: np.random.Generator) -> Amplification:
    """Look where a code amplifies rounding: random sets, neighbours, and a search from the worst.

    Parameters
    ----------
    s: stragglers, at least 1 and less than the slots.
    """
    sets = StragglerSets(code, s, rng)
    drawn, rows = sets.random(MEASURED_SETS), sets.neighbours(PLACES)
    of_drawn = np.array([sets.amplification(late) for late in drawn])
    of_rows = np.array([sets.amplification(late) for late in rows])
    worst = 0.0
    for late in (drawn[int(np.argmax(of_drawn))], rows[int(np.argmax(of_rows))]):
        found = sets.exchanged(sets.exchanged(late, MEASURED_TRIES), MEASURED_TRIES)
        worst = max(worst, sets.amplification(found))
    return Amplification(
        float(np.median(of_drawn)),
        float(np.quantile(of_drawn, 0.99)),
        float(of_rows.max()),
        worst,
    )
