"""Stop when the full gradient is decodable."""

from __future__ import annotations

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.stopping.base import RoundView, StopRule


class ExactStop(StopRule):
    """Waits until the arrivals hold the sum of all task gradients, by coverage or by rank."""

    waits_for_all = True

    def __init__(self, code: GradientCode) -> None:
        self._reason = exact_reason(code)

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        return self._reason if round_.decoder.exact else None


def everyone(code: GradientCode) -> str:
    """Return the words for who may arrive in a round."""
    each = f" with {code.n_parts} results each" if code.counts_parts else ""
    return f"{code.n_workers} workers{each}"


def exact_reason(code: GradientCode) -> str:
    """Return the words for a round that closed because waiting longer gains nothing."""
    if code.groups is None:
        return "exact"
    if code.counts_parts:
        return f"all {code.groups.count} tasks covered"
    count, held = code.groups.count, int(np.count_nonzero(code.groups.sizes))
    if held < count:
        return f"all {held} groups covered, {count - held} held by no slot"
    return f"all {count} arrived" if count == code.n_workers else f"all {count} groups covered"
