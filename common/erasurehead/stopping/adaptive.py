"""Choose after how many arrivals to stop, from what arrivals have been like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from erasurehead.arrays import BoolArray, FloatArray, IntArray
from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.stopping.exact import exact_reason
from erasurehead.theory.convergence import LEAST_RENEWED, cached_rounds, followed_rounds

FORGETTING = 0.98
"""Weight of a round against the next: some 50 rounds are remembered."""

WARMUP = 5

PATIENCE = 2.0
"""A round that explores waits so many times the predicted duration, so that it costs little."""


class AdaptiveStop(StopRule):
    """Closes at the number of arrivals r (or the time) with the least predicted time to target.

    For each r the rule averages the time T(r) of the r-th arrival and the decode error e(r) after
    it. With unbiased estimates of relative variance V, gradient descent needs about 1 + V times as
    many rounds (step 1/(1 + V) of the exact one's), and V is at most the decode error, so r
    minimises T(r) (1 + noise e(r)). Near the optimum, V grows without bound, and an estimate from
    few tasks never gets there however quick it is: r with e(r) above `most_error` are not
    considered.

    With a cache an arrival renews a remembered value, and what is missing is stale, not lost: e(r)
    says nothing. The rule then averages phi(r), the share of what is remembered that r arrivals
    renew, and r minimises T(r) times the `cached_rounds` of phi(r); a code pays off by a larger
    phi, a smaller r by shorter rounds, until the rounds needed grow as quickly. With a method that
    follows units, r minimises T(r) times the `followed_rounds` of phi(r), whatever the problem.

    Rounds that closed before the r-th arrival say nothing about r, and of those that were exact
    before it only the quick ones are seen. The first `warmup` rounds therefore wait for the exact
    gradient, and every `explore`-th round waits up to twice as long as predicted. These alone teach
    what larger r would bring, and deadlines.

    Parameters
    ----------
    code: for k.
    by: close at the r-th ``arrivals``, or at the ``deadline`` T(r).
    warmup: rounds that wait for the exact gradient, at least 1; by default 5, or 1 with a cache,
        whose rounds may be so much shorter that five exact ones would be most of a run.
    explore: rounds from one that looks further to the next, at least 2.
    noise: weight of the decode error, 0 or more; larger values wait for more arrivals.
    most_error: largest mean decode error that may be chosen, above 0; the error of an empty round
        is 1. Without a cache only, as `noise`.
    progress: with a cache, unless the method follows units, the share of the gap to the minimum
        that a round with the exact gradient closes, in (0, 1). The slower a problem converges, the
        staler its gradients may be; the default is on the safe side of most.

    Raises
    ------
    UsageError: an option out of its range.
    """

    adapts = True

    def __init__(
        self,
        code: GradientCode,
        *,
        by: Literal["arrivals", "deadline"] = "arrivals",
        warmup: int | None = None,
        explore: int = 20,
        noise: float = 1.0,
        most_error: float = 0.5,
        progress: float = 0.25,
    ) -> None:
        sound = math.isfinite(noise) and noise >= 0 and most_error > 0 and 0 < progress < 1
        first = WARMUP if warmup is None else warmup
        if first < 1 or explore < 2 or not sound:
            raise UsageError(
                f"stop rule 'adaptive' cannot use warmup={first}, explore={explore},"
                f" noise={noise:g}, most_error={most_error:g}, progress={progress:g}; it needs"
                " warmup >= 1, explore >= 2, noise >= 0, most_error > 0 and 0 < progress < 1"
            )
        self.n_arrivals = code.n_arrivals
        self.by = by
        self.warmup = first
        self._warmup_is_given = warmup is not None
        self.explore = explore
        self.noise = noise
        self.most_error = most_error
        self.contraction = -math.log1p(-progress)
        self.r = code.n_arrivals
        """The number of arrivals predicted best."""
        self._exact_reason = exact_reason(code)
        self._n_closed = 0
        self._seen = np.zeros(self.n_arrivals)
        self._time_s = np.zeros(self.n_arrivals)
        self._error = np.ones(self.n_arrivals)
        self._renewed = np.zeros(self.n_arrivals)
        self._unit_of_arrival: IntArray | None = None
        self._n_units = 0
        self._is_followed = False
        self._why = ""
        self._begin()

    def remember(self, unit_of_arrival: Sequence[int]) -> None:
        """Be told that an arrival renews the remembered value of its slot's unit."""
        self._unit_of_arrival = np.array(unit_of_arrival)
        self._n_units = len(set(unit_of_arrival))
        if not self._warmup_is_given:
            self.warmup = 1

    def follow(self) -> None:
        """Be told that the method knows where each remembered value was taken."""
        self._is_followed = True

    def deadline_s(self) -> float | None:
        """Seconds after opening at which the rule wants to judge again, or None."""
        if self._warming:
            return None
        if self._exploring:
            return PATIENCE * float(self._time_s[self.r - 1])
        return float(self._time_s[self.r - 1]) if self.by == "deadline" else None

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        n = round_.n_arrived
        if not n:
            return None
        exact = round_.decoder.exact
        self._errors[n - 1] = round_.decoder.error()
        self._n_judged = n
        reason = self._verdict(n, round_.elapsed_s, exact)
        self._decided = reason is not None
        self._was_exact = exact
        return reason

    def observe(self, arrivals_s: Sequence[tuple[int, float]], duration_s: float) -> None:
        """Learn from a closed round and choose the next r."""
        m = min(len(arrivals_s), self._n_judged)
        if m:
            arrivals = [arrival for arrival, _ in arrivals_s[:m]]
            times_s = np.array([after_s for _, after_s in arrivals_s[:m]])
            self._learn(times_s, self._shares_renewed(arrivals), duration_s)
        self._n_closed += 1
        if self._n_closed >= self.warmup:
            self._choose()
        self._begin()

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold."""
        return {
            "adaptive_closed": np.array([float(self._n_closed)]),
            "adaptive_seen": self._seen.copy(),
            "adaptive_time_s": self._time_s.copy(),
            "adaptive_error": self._error.copy(),
            "adaptive_renewed": self._renewed.copy(),
            "adaptive_followed": np.array([float(self._is_followed)]),
        }

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from what `state` returned."""
        self._n_closed = int(state["adaptive_closed"][0])
        self._seen[:] = state["adaptive_seen"]
        self._time_s[:] = state["adaptive_time_s"]
        self._error[:] = state["adaptive_error"]
        self._renewed[:] = state.get("adaptive_renewed", self._renewed)
        self._is_followed = bool(state.get("adaptive_followed", np.zeros(1))[0])
        if self._n_closed >= self.warmup:
            self._choose()

    @property
    def _warming(self) -> bool:
        return self._n_closed < self.warmup

    @property
    def _exploring(self) -> bool:
        return not self._warming and (self._n_closed - self.warmup) % self.explore == (
            self.explore - 1
        )

    @property
    def _n_shown(self) -> int:
        """The largest r of which a round shows what came of it, however quick the round was.

        Only rounds that were quick enough would show more: learnt from these alone, a larger r
        would seem quicker and better than it is, and a deadline would creep towards zero.
        """
        if self._warming or self._exploring:
            return self.n_arrivals
        return 0 if self.by == "deadline" else self.r

    def _begin(self) -> None:
        self._errors = np.ones(self.n_arrivals)
        self._n_judged = 0
        self._decided = False
        self._was_exact = False

    def _verdict(self, n: int, elapsed_s: float, exact: bool) -> str | None:
        if self._warming:
            warm_up = f"warm-up {self._n_closed + 1} of {self.warmup}, {self._exact_reason}"
            return warm_up if exact else None
        if exact:
            return self._exact_reason
        predicted_s = float(self._time_s[self.r - 1])
        if self._exploring:
            if elapsed_s < PATIENCE * predicted_s:
                return None
            return f"{n} of {self.n_arrivals} arrived; looked further for {elapsed_s:.3g} s"
        if self.by == "deadline":
            if elapsed_s < predicted_s:
                return None
            return f"deadline of {predicted_s:.3g} s{self._why}"
        return f"{n} of {self.n_arrivals} arrived{self._why}" if n >= self.r else None

    def _shares_renewed(self, arrivals: list[int]) -> FloatArray:
        """Return the share of all units that the first 1, 2, ... of the arrivals renew."""
        shares = np.zeros(len(arrivals))
        if self._unit_of_arrival is not None:
            _, first = np.unique(self._unit_of_arrival[arrivals], return_index=True)
            shares[first] = 1.0 / self._n_units
        return np.cumsum(shares)

    def _learn(self, times_s: FloatArray, renewed: FloatArray, duration_s: float) -> None:
        """Average in what this round says about each r."""
        m, k = len(times_s), self.n_arrivals
        truncated = self._decided and not self._was_exact
        all_times, all_errors, all_renewed = np.empty(k), self._errors, np.empty(k)
        all_times[:m], all_renewed[:m] = times_s, renewed
        known = self._n_shown
        if not truncated:
            # Exact, or no other slot could arrive: any larger r would have ended here, too.
            all_times[m:] = times_s[-1] if self._was_exact else max(duration_s, times_s[-1])
            all_errors[m:], all_renewed[m:] = all_errors[m - 1], renewed[-1]
        elif self._exploring:
            # Not seen in time: no sooner than now, and else as before.
            all_times[m:] = np.maximum(self._time_s[m:], duration_s)
            all_errors[m:], all_renewed[m:] = self._error[m:], self._renewed[m:]
        else:
            known = min(known, m)
        old = FORGETTING * self._seen[:known]
        total = old + 1.0
        self._time_s[:known] = (old * self._time_s[:known] + all_times[:known]) / total
        self._error[:known] = (old * self._error[:known] + all_errors[:known]) / total
        self._renewed[:known] = (old * self._renewed[:known] + all_renewed[:known]) / total
        self._seen[:known] = total

    def _choose(self) -> None:
        rounds, allowed = self._rounds_needed()
        cost = np.where((self._seen > 0) & allowed, self._time_s * rounds, np.inf)
        if not np.isfinite(cost).any():
            cost = np.where(self._seen > 0, rounds, np.inf)
        best = int(np.argmin(cost))
        self.r = best + 1
        stale = ""
        if self._unit_of_arrival is not None:
            stale = f", renewing {self._renewed[best]:.0%} of the cache,"
        self._why = (
            f"; r={self.r} predicted best, {self._time_s[best]:.3g} s{stale} at"
            f" {rounds[best]:.2f} times the rounds against {self._time_s[-1]:.3g} s for all"
        )

    def _rounds_needed(self) -> tuple[FloatArray, BoolArray]:
        """Return rounds to target over those of exact gradients, and whether r may be chosen."""
        if self._unit_of_arrival is None:
            return 1.0 + self.noise * self._error, self._error <= self.most_error
        if self._is_followed:
            return followed_rounds(self._renewed), self._renewed > 0
        enough = self._renewed * self._n_units >= min(LEAST_RENEWED, self._n_units)
        return cached_rounds(self._renewed, self.contraction), enough
