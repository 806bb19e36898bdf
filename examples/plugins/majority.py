"""A stop rule: more than half of all arrivals are enough."""

from __future__ import annotations

from erasurehead.coding.base import GradientCode
from erasurehead.stopping import STOPS
from erasurehead.stopping.base import RoundView, StopRule


class MajorityStop(StopRule):
    """Closes a round at the first arrival that makes a majority."""

    def __init__(self, code: GradientCode) -> None:
        self.arrivals = code.n_arrivals // 2 + 1

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        if self.arrivals is not None and round_.n_arrived >= self.arrivals:
            return "a majority arrived"
        return None


STOPS.register("majority", MajorityStop)
