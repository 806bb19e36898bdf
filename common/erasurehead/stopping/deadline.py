"""Stop when the time is up."""

from __future__ import annotations

import math

from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.stopping.exact import everyone, exact_reason


class DeadlineStop(StopRule):
    """Closes `after_s` seconds after opening, or when the gradient is exact if that comes first.

    Parameters
    ----------
    code: for k.
    after_s: seconds, positive.
    minimum: arrivals without which the round goes on after the deadline, 1 to k; to k times the
        parts of a slot, where parts count.

    Raises
    ------
    UsageError: a number out of its range.
    """

    def __init__(self, code: GradientCode, *, after_s: float, minimum: int = 1) -> None:
        if not (math.isfinite(after_s) and after_s > 0):
            raise UsageError(f"a deadline of {after_s:g} s cannot be met; after_s must be positive")
        most = code.n_arrivals
        if not 1 <= minimum <= most:
            raise UsageError(
                f"minimum={minimum} arrivals do not fit {everyone(code)}; minimum must be 1 to"
                f" {most}"
            )
        self.after_s = self._after_s = after_s
        self.minimum = minimum
        self._reason = f"deadline of {after_s:g} s"
        self._exact_reason = exact_reason(code)

    def deadline_s(self) -> float | None:
        """Seconds after opening at which the rule wants to judge again."""
        return self._after_s

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        if round_.decoder.exact:
            return self._exact_reason
        due = round_.elapsed_s >= self._after_s and round_.n_arrived >= self.minimum
        return self._reason if due else None
