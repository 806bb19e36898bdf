"""How likely each slot is to be a straggler, learnt from the arrivals."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError, UsageError
from erasurehead.probabilities import LEAST_PROBABILITY, away_from_certainty
from erasurehead.straggling.inverse_share import inverse_share

SURPRISE = 6.0
"""Standard deviations beyond what chance explains from which estimates have moved."""


class StragglerEstimate:
    """Posterior mean of each slot's straggling probability, Beta prior, exponential forgetting.

    With s and f the counts of rounds missed and made, each round multiplied by `forgetting` before
    it counts the new one: p = (a + s) / (a + b + s + f). A slot that is no survivor missed the
    round, so the estimate belongs to the stop rule in force while it was learnt.

    Parameters
    ----------
    n_workers: k.
    prior: (a, b) of the Beta prior, both positive; a/(a+b) is the guess before any round.
    forgetting: in (0, 1]; about 1 / (1 - forgetting) rounds are remembered.

    Raises
    ------
    UsageError: `prior` or `forgetting` is out of range.
    """

    def __init__(
        self,
        n_workers: int,
        prior: tuple[float, float] = (1.0, 1.0),
        forgetting: float = 0.98,
    ) -> None:
        a, b = prior
        if not (math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0):
            raise UsageError(f"a Beta prior needs two positive numbers, not ({a:g}, {b:g})")
        if not 0 < forgetting <= 1:
            raise UsageError(f"forgetting={forgetting:g} must be above 0 and at most 1")
        self.prior = prior
        self.forgetting = forgetting
        self._missed = np.zeros(n_workers)
        self._made = np.zeros(n_workers)
        self._rounds = 0

    def observe(self, arrived: npt.NDArray[np.bool_]) -> None:
        """Count one round; `arrived` has shape (k,)."""
        self._missed *= self.forgetting
        self._made *= self.forgetting
        self._made += arrived
        self._missed += ~arrived
        self._rounds += 1

    @property
    def probabilities(self) -> FloatArray:
        """Probability that each slot misses the next round, shape (k,), within [1e-4, 1 - 1e-4]."""
        a, b = self.prior
        estimate = (a + self._missed) / (a + b + self._missed + self._made)
        return away_from_certainty(estimate)

    @property
    def common(self) -> float:
        """The probability of all slots together, if they were alike."""
        a, b = self.prior
        missed, made = float(self._missed.mean()), float(self._made.mean())
        estimate = (a + missed) / (a + b + missed + made)
        return min(max(estimate, LEAST_PROBABILITY), 1.0 - LEAST_PROBABILITY)

    @property
    def weights(self) -> FloatArray:
        """1/(1-p_i) for each slot, shape (k,), at least 1: what an arrival of it must count for.

        The prior is forgotten like a round: it would pull for ever.
        """
        a, b = self.prior
        seen = self._made + self._missed
        left = self._left
        return inverse_share(b * left + self._made, (a + b) * left + seen, self._squares)

    @property
    def _left(self) -> FloatArray:
        """The weight of what was there before the first round."""
        return np.asarray(1.0 - (1.0 - self.forgetting) * (self._made + self._missed))

    @property
    def _squares(self) -> FloatArray:
        """The sum of the rounds' squared weights."""
        f = self.forgetting
        if f == 1.0:
            return np.asarray(self._made + self._missed)
        return np.asarray((1.0 - self._left**2) / (1.0 - f**2))

    def has_moved_from(self, p: FloatArray, rounds_ago: int | None = None) -> bool:
        """True when the slots together straggle otherwise than `p`, shape (k,), says.

        arcsin(sqrt(p)) of a share among m rounds has the standard deviation 1/(2 sqrt(m)) whatever
        p is; of rounds with weights w, sum_t w_t = 1, 1/m is sum_t w_t^2. Where p is what this
        estimate said `rounds_ago`, its own chance counts, too: w_t is then by how much the weights
        of round t in both differ. It does not count if p was known from less than half as many
        rounds as now: what is known better is reason enough to go by it. With z_i the move of slot
        i in these, sum_i z_i^2 is about chi-square with k degrees of freedom if nothing has changed
        (mean k, variance 2k). It has moved if the sum is above k + 6 sqrt(2k): the question is
        asked again and again.

        Parameters
        ----------
        rounds_ago: above 0; None: p is no estimate.
        """
        if not np.all(self._squares > 0):
            return False
        total, squares = sum(self.prior) + self._missed + self._made, self._squares
        one_over_m = squares / total**2
        if rounds_ago is not None:
            then_total, then_squares = self._then(rounds_ago)
            one_over_then = then_squares / then_total**2
            # Rounds that both have count f^n times as much as they did then.
            both = self.forgetting**rounds_ago * then_squares / (total * then_total)
            poor = one_over_then > 2.0 * one_over_m
            one_over_m = one_over_m + np.where(poor, 0.0, one_over_then - 2.0 * both)
        angles = np.arcsin(np.sqrt(self.probabilities)) - np.arcsin(np.sqrt(p))
        k = len(angles)
        return float(np.sum(4.0 * angles**2 / one_over_m)) > k + SURPRISE * math.sqrt(2.0 * k)

    def _then(self, rounds_ago: int) -> tuple[float, float]:
        """Return the sums of all weights, the prior's included, and of rounds' squared weights.

        As they were so many rounds ago; where there were not so many, as before the first.
        """
        f, n = self.forgetting, max(self._rounds - rounds_ago, 0)
        if f == 1.0:
            return sum(self.prior) + n, float(n)
        return sum(self.prior) + (1.0 - f**n) / (1.0 - f), (1.0 - f ** (2 * n)) / (1.0 - f**2)

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold: `missed` and `made`, copies of shape (k,), and how
        many `rounds` were counted."""
        return {
            "missed": self._missed.copy(),
            "made": self._made.copy(),
            "rounds": np.array([float(self._rounds)]),
        }

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from `state`.

        Raises
        ------
        DataError: it is not the state of an estimate for k workers.
        """
        for key, own in (("missed", self._missed), ("made", self._made)):
            if key not in state or state[key].shape != own.shape:
                raise DataError(
                    f"the checkpoint's straggler estimate has no '{key}' of shape {own.shape};"
                    " resume with the number of workers it was written with"
                )
        self._missed[:], self._made[:] = state["missed"], state["made"]
        # Earlier versions did not count them; each counts one or less.
        counted = state.get("rounds", self._missed + self._made)
        self._rounds = round(float(counted[0]))
