"""Wait for everything in every m-th round, for estimates that need a full gradient then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.stopping.base import RoundView, StopRule


class SnapshotStop(StopRule):
    """Lets round 1, 1 + m, 1 + 2m, ... close only when all slots arrived or the gradient is exact.

    Parameters
    ----------
    rule: judges the other rounds.
    every: m.
    """

    def __init__(self, rule: StopRule, every: int) -> None:
        self.rule = rule
        self.waits_for_all = rule.waits_for_all
        self.adapts = rule.adapts
        self.every = every
        self._n_closed = 0

    def follow(self) -> None:
        """Tell the rule."""
        self.rule.follow()

    def deadline_s(self) -> float | None:
        """Seconds after opening at which the rule wants to judge again, or None."""
        return None if self._due else self.rule.deadline_s()

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        if not self._due:
            return self.rule.judge(round_)
        complete = round_.decoder.exact or round_.n_arrived == round_.n_arrivals
        return f"snapshot: {round_.n_arrived} of {round_.n_arrivals} arrived" if complete else None

    def sums_all(self, round_: RoundView) -> bool:
        """True in the round of a snapshot once all slots, or one of every group, have arrived."""
        grouped = round_.decoder.code.groups is not None
        complete = round_.n_arrived == round_.n_arrivals or (grouped and round_.decoder.exact)
        return self._due and complete

    def observe(self, arrivals_s: Sequence[tuple[int, float]], duration_s: float) -> None:
        """Count a closed round; `rule` learns only from those that it judged.

        All slots arrive in the others, which says nothing of which straggle under `rule`.
        """
        due = self._due
        self._n_closed += 1
        if not due:
            self.rule.observe(arrivals_s, duration_s)

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold."""
        return {**self.rule.state(), "snapshot_closed": np.array([float(self._n_closed)])}

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from what `state` returned."""
        self._n_closed = int(state["snapshot_closed"][0])
        self.rule.load_state(state)

    @property
    def _due(self) -> bool:
        return self._n_closed % self.every == 0
