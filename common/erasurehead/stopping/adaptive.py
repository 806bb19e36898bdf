"""Choose after how many arrivals to stop, from what arrivals have been like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from erasurehead.coding.base import FloatArray, GradientCode
from erasurehead.errors import UsageError
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.stopping.exact import exact_reason

FORGETTING = 0.98
"""Weight of a round against the next: some 50 rounds are remembered."""

PATIENCE = 2.0
"""A round that explores waits so many times the predicted duration, so that it costs little."""


class AdaptiveStop(StopRule):
    """Closes at the number of arrivals r (or the time) with the least predicted time to target.

    For each r the rule averages the time T(r) of the r-th arrival and the decode error e(r) after
    it. With unbiased estimates of relative variance V, gradient descent needs about 1 + V times as
    many rounds (step 1/(1 + V) of the exact one's), and V is at most the decode error, so r
    minimises T(r) (1 + noise e(r)). Near the optimum, V grows without bound, and an estimate from
    few tasks never gets there however quick it is: r with e(r) above `most_error` are not
    considered. Rounds that closed before the r-th arrival say nothing about r;
    the first `warmup` rounds therefore wait for the exact gradient, and every `explore`-th round
    waits up to twice as long as predicted.

    Parameters
    ----------
    code: for k.
    by: close at the r-th ``arrivals``, or at the ``deadline`` T(r).
    warmup: rounds that wait for the exact gradient, at least 1.
    explore: rounds from one that looks further to the next, at least 2.
    noise: weight of the decode error, 0 or more; larger values wait for more arrivals.
    most_error: largest mean decode error that may be chosen, above 0; the error of an empty round
        is 1.

    Raises
    ------
    UsageError: an option out of its range.
    """

    def __init__(
        self,
        code: GradientCode,
        *,
        by: Literal["arrivals", "deadline"] = "arrivals",
        warmup: int = 5,
        explore: int = 20,
        noise: float = 1.0,
        most_error: float = 0.5,
    ) -> None:
        sound = math.isfinite(noise) and noise >= 0 and most_error > 0
        if warmup < 1 or explore < 2 or not sound:
            raise UsageError(
                f"stop rule 'adaptive' cannot use warmup={warmup}, explore={explore},"
                f" noise={noise:g}, most_error={most_error:g}; it needs warmup >= 1, explore >= 2,"
                " noise >= 0 and most_error > 0"
            )
        self.n_workers = code.n_workers
        self.by = by
        self.warmup = warmup
        self.explore = explore
        self.noise = noise
        self.most_error = most_error
        self.r = code.n_workers
        """The number of arrivals predicted best."""
        self._exact_reason = exact_reason(code)
        self._n_closed = 0
        self._seen = np.zeros(self.n_workers)
        self._time_s = np.zeros(self.n_workers)
        self._error = np.ones(self.n_workers)
        self._why = ""
        self._begin()

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
        """Learn from a closed round and choose r anew."""
        m = min(len(arrivals_s), self._n_judged)
        if m:
            self._learn(np.array([after_s for _, after_s in arrivals_s[:m]]), duration_s)
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
        }

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from what `state` returned."""
        self._n_closed = int(state["adaptive_closed"][0])
        self._seen[:] = state["adaptive_seen"]
        self._time_s[:] = state["adaptive_time_s"]
        self._error[:] = state["adaptive_error"]
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

    def _begin(self) -> None:
        self._errors = np.ones(self.n_workers)
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
            return f"{n} of {self.n_workers} arrived; looked further for {elapsed_s:.3g} s"
        if self.by == "deadline":
            if elapsed_s < predicted_s:
                return None
            return f"deadline of {predicted_s:.3g} s{self._why}"
        return f"{n} of {self.n_workers} arrived{self._why}" if n >= self.r else None

    def _learn(self, times_s: FloatArray, duration_s: float) -> None:
        """Average in what this round says about each r."""
        m, k = len(times_s), self.n_workers
        truncated = self._decided and not self._was_exact
        if truncated and self.by == "deadline" and not self._exploring:
            # Only rounds that were fast enough would show their r-th arrival, and the deadline
            # would creep towards zero.
            return
        all_times, all_errors = np.empty(k), self._errors
        all_times[:m] = times_s
        known = m
        if not truncated:
            # Exact, or nobody else could come: any larger r would have ended here, too.
            all_times[m:] = times_s[-1] if self._was_exact else max(duration_s, times_s[-1])
            all_errors[m:] = all_errors[m - 1]
            known = k
        elif self._exploring:
            # Not seen in time: no sooner than now, and else as before.
            all_times[m:] = np.maximum(self._time_s[m:], duration_s)
            all_errors[m:] = self._error[m:]
            known = k
        old = FORGETTING * self._seen[:known]
        total = old + 1.0
        self._time_s[:known] = (old * self._time_s[:known] + all_times[:known]) / total
        self._error[:known] = (old * self._error[:known] + all_errors[:known]) / total
        self._seen[:known] = total

    def _choose(self) -> None:
        cost = self._time_s * (1.0 + self.noise * self._error)
        cost[(self._seen == 0) | (self._error > self.most_error)] = np.inf
        if not np.isfinite(cost).any():
            cost = np.where(self._seen > 0, self._error, np.inf)
        best = int(np.argmin(cost))
        self.r = best + 1
        self._why = (
            f"; r={self.r} predicted best, {self._time_s[best]:.3g} s at"
            f" {1.0 + self.noise * self._error[best]:.2f} times the rounds against"
            f" {self._time_s[-1]:.3g} s for all"
        )
