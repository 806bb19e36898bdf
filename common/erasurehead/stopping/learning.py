"""Learn straggler probabilities from the rounds that a rule closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from erasurehead.coding.base import FloatArray
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.straggling.estimate import StragglerEstimate


class LearningStop(StopRule):
    """Judges as `rule` does, and counts who arrived in time: p_i belongs to the rule in force.

    Parameters
    ----------
    rule: the rule in force.
    estimate: the straggler probabilities of the same slots.
    """

    def __init__(self, rule: StopRule, estimate: StragglerEstimate) -> None:
        self.rule = rule
        self.estimate = estimate
        self._n_workers = len(estimate.probabilities)

    def deadline_s(self) -> float | None:
        """Seconds after opening at which the rule wants to judge again, or None."""
        return self.rule.deadline_s()

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        return self.rule.judge(round_)

    def observe(self, arrivals_s: Sequence[tuple[int, float]], duration_s: float) -> None:
        """Count a closed round."""
        arrived = np.zeros(self._n_workers, dtype=bool)
        arrived[[slot for slot, _ in arrivals_s]] = True
        self.estimate.observe(arrived)
        self.rule.observe(arrivals_s, duration_s)

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold."""
        own = {f"estimate_{key}": values for key, values in self.estimate.state().items()}
        return {**self.rule.state(), **own}

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from what `state` returned."""
        self.estimate.load_state(
            {key.removeprefix("estimate_"): state[key] for key in state if "estimate_" in key}
        )
        self.rule.load_state(state)
