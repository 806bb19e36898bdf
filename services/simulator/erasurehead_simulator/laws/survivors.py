"""Which slots are there when a round closes, as far as formulas know."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.coding.groups import Groups
from erasurehead.stopping.base import StopRule
from erasurehead.straggling.base import DelayModel
from erasurehead.theory.decode_errors import independent_subset_error, subset_error
from erasurehead.theory.moments import covered_distribution, uncovered_probability
from erasurehead_simulator.virtual.compute_times import compute_times_s

SURE = 1e-4
"""Chance that no slot meets a deadline below which that case, one arrival after it, is left out."""


class Survivors(Protocol):
    """A random set of slots."""

    late: FloatArray
    """Probability of each slot to be missing, shape (k,)."""

    size: int | None
    """How many there are, None if that is random, too."""

    independent: bool
    """Whether one slot's presence says nothing of another's."""

    def missing_tasks(self) -> FloatArray:
        """Return for each task the probability that no slot that holds it is there, shape (n,)."""

    def missing_groups(self, groups: Groups) -> FloatArray:
        """Return for each group the probability that no slot of it is there, shape (B,)."""

    def covered_groups(self, groups: Groups) -> FloatArray:
        """Return P(m groups are covered), shape (B + 1,), for groups of equal sizes."""

    def error(self, weighted: csr_array) -> float:
        """Return the mean decode error of fixed weights; their rows u_i, shape (k, n)."""


class UniformSubset:
    """A uniform random subset of r slots."""

    def __init__(self, code: GradientCode, r: int) -> None:
        self._code, self._r = code, r
        self.size: int | None = r
        self.independent = False
        self.late = np.full(code.n_workers, 1.0 - r / code.n_workers)

    def missing_tasks(self) -> FloatArray:
        """By Lemma 2 of arXiv 1901.09671, for as many holders as a task has."""
        return uncovered_probability(self._code.n_workers, self._code.replication, self._r)

    def missing_groups(self, groups: Groups) -> FloatArray:
        """By the same lemma."""
        return uncovered_probability(self._code.n_workers, groups.sizes, self._r)

    def covered_groups(self, groups: Groups) -> FloatArray:
        """By inclusion and exclusion."""
        return covered_distribution(self._code.n_workers, int(groups.sizes[0]), self._r)

    def error(self, weighted: csr_array) -> float:
        """By the variance of sampling without replacement."""
        return subset_error(weighted, self._r)


class Independent:
    """Each slot is missing with a probability of its own."""

    def __init__(self, code: GradientCode, late: FloatArray) -> None:
        self._code, self.late = code, late
        self.size: int | None = None
        self.independent = True

    def missing_tasks(self) -> FloatArray:
        """The product over the slots that hold the task."""
        holds = self._code.matrix.astype(bool).astype(np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(np.exp(np.log(self.late) @ holds))

    def missing_groups(self, groups: Groups) -> FloatArray:
        """The product over the group."""
        missing = np.ones(groups.count)
        np.multiply.at(missing, groups.of_symbol, self.late)
        return missing

    def covered_groups(self, groups: Groups) -> FloatArray:
        """The distribution of a sum of independent ones and zeros."""
        covered = np.ones(1)
        for q in self.missing_groups(groups):
            covered = np.convolve(covered, [q, 1.0 - q])
        return covered

    def error(self, weighted: csr_array) -> float:
        """By variance and bias of a sum of independent vectors."""
        return independent_subset_error(weighted, self.late)


def times_are_alike(code: GradientCode, delays: DelayModel, pass_s: float) -> bool:
    """True when no slot is late more often than another in the long run.

    Slots are alike, and so are their loads, or nothing depends on loads.
    """
    if not delays.slots_are_alike:
        return False
    share = np.full(code.n_workers, 0.25)
    ignores_load = np.array_equal(delays.delays_s(1, share), delays.delays_s(1, 2.0 * share))
    return len(np.unique(code.loads)) == 1 or (ignores_load and pass_s == 0.0)


def survivors_under(
    code: GradientCode, stop: StopRule, delays: DelayModel, pass_s: float
) -> Survivors | None:
    """Return which slots are there when the rule closes a round, None if no formula knows."""
    if stop.arrivals is not None and times_are_alike(code, delays, pass_s):
        return UniformSubset(code, stop.arrivals)
    if stop.after_s is not None and stop.minimum == 1:
        left_s = stop.after_s - compute_times_s(code, pass_s).sum(axis=1)
        late = delays.late_probabilities(left_s, code.loads / code.n_tasks)
        if late is not None and np.prod(late) < SURE:
            return Independent(code, late)
    return None
