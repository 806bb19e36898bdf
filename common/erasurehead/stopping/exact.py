"""Stop when the full gradient is decodable."""

from __future__ import annotations

import numpy as np

from erasurehead.coding.base import GradientCode, RepetitionCode
from erasurehead.stopping.base import RoundView, StopRule


class ExactStop(StopRule):
    """Waits until the arrivals hold the sum of all task gradients, by coverage or by rank."""

    def __init__(self, code: GradientCode) -> None:
        self._reason = exact_reason(code)

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        return self._reason if round_.decoder.exact else None


def exact_reason(code: GradientCode) -> str:
    """Return the words for a round that closed because waiting longer gains nothing."""
    if isinstance(code, RepetitionCode):
        held = int(np.count_nonzero(code.group_sizes))
        if held < code.n_blocks:
            return f"all {held} groups covered that anybody holds, of {code.n_blocks}"
        if code.n_blocks == code.n_workers:
            return f"all {code.n_workers} arrived"
        return f"all {code.n_blocks} groups covered"
    return "exact"
