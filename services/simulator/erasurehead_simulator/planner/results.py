"""What a search for a scheme found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead_simulator.laws.quantities import Expectation
from erasurehead_simulator.planner.candidates import Candidate
from erasurehead_simulator.planner.target import Target


@dataclass(frozen=True, eq=False)
class Trial:
    """One finalist.

    Attributes
    ----------
    round_s, decode_error, erased_share: means over the rounds of the screening.
    expected: what the theory says to that.
    times_s: virtual seconds to the target, one a seed tried; infinite if it was not reached.
    rounds: to the target, likewise.
    """

    candidate: Candidate
    round_s: float
    decode_error: float
    erased_share: float
    expected: Expectation
    times_s: tuple[float, ...]
    rounds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Median time to target."""
        return float(np.median(self.times_s))

    @property
    def median_rounds(self) -> float:
        """Median rounds to target."""
        return float(np.median(self.rounds))


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    trials: the finalists, by load and then by time; `frontier` those that no other beats in both.
    n_candidates: schemes that were screened.
    exact_method: what was tried with exact gradients, in words.
    exact_rounds: how many it needs to the target, on the same rows.
    sample_rows: training rows they were counted on.
    stored_bytes: of all training rows, to turn loads into sizes.
    """

    target: Target
    seeds: int
    trials: tuple[Trial, ...]
    n_candidates: int
    exact_method: str
    exact_rounds: int
    sample_rows: int
    training_rows: int
    stored_bytes: int

    @property
    def frontier(self) -> tuple[Trial, ...]:
        """Trials in order of load, each faster than all with less load."""
        best, kept = math.inf, []
        for trial in sorted(self._finished, key=lambda t: (t.candidate.load, t.median_s)):
            if trial.median_s < best:
                best = trial.median_s
                kept.append(trial)
        return tuple(kept)

    @property
    def best(self) -> Trial:
        """The fastest."""
        return min(self._finished, key=lambda t: t.median_s)

    @property
    def rivals(self) -> tuple[Trial, ...]:
        """Trials that were sometimes as fast as the best ever was slow: they may be the best."""
        slowest = max(self.best.times_s)
        every = self._finished
        return tuple(t for t in every if t is not self.best and min(t.times_s) <= slowest)

    @property
    def confidence(self) -> float:
        """Probability that the range of a trial's times holds the median of all runs.

        1 - 2^(1-s) for s seeds: all of them would have to be on one side of it.
        """
        return 1.0 - 2.0 ** (1 - self.seeds)

    @property
    def _finished(self) -> list[Trial]:
        """Trials that were worth all seeds."""
        return [trial for trial in self.trials if len(trial.times_s) == self.seeds]
