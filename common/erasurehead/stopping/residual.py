"""Stop when the decode error is small enough."""

from __future__ import annotations

import math

from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.stopping.exact import exact_reason


class ResidualStop(StopRule):
    """Closes when ||alpha - 1||^2 / n <= epsilon with the weights of the decoder in use.

    Best with a decoder whose error falls with every arrival: least-squares, component, first-copy.

    Parameters
    ----------
    code: for the reason.
    epsilon: 0 to 1; an empty round has decode error 1.

    Raises
    ------
    UsageError: epsilon out of range.
    """

    def __init__(self, code: GradientCode, *, epsilon: float) -> None:
        if not (math.isfinite(epsilon) and 0 <= epsilon < 1):
            raise UsageError(
                f"epsilon={epsilon:g} is no bound for the decode error; it must be at least 0 and"
                " below 1, the error of an empty round"
            )
        self.epsilon = epsilon
        self._exact_reason = exact_reason(code)

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        if round_.decoder.exact:
            return self._exact_reason
        if not round_.n_arrived:
            return None
        error = round_.decoder.error()
        if error > self.epsilon:
            return None
        return f"decode error {error:.3g} after {round_.n_arrived} of {round_.n_arrivals}"
