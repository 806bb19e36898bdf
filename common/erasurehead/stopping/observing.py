"""Learn straggler probabilities from the rounds that a rule closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.straggling.erasures import GroupErasures
from erasurehead.straggling.estimate import StragglerEstimate

ESTIMATE, ERASURES = "estimate_", "erasures_"
"""Marks of what is learnt in the state of the rule it is learnt from."""


class LearningStop(StopRule):
    """Judges as `rule` does, and counts the slots that arrived in time: p_i belongs to this rule.

    Where parts count, a slot was in time if one of its parts was.

    Parameters
    ----------
    rule: the rule in force.
    estimate: the straggler probabilities of the same slots.
    erasures: of the groups that the arrivals make up, if there are any.
    per_slot: arrivals of a slot in a round (`GradientCode.arrivals_per_slot`).
    """

    def __init__(
        self,
        rule: StopRule,
        estimate: StragglerEstimate,
        erasures: GroupErasures | None = None,
        per_slot: int = 1,
    ) -> None:
        self.rule = rule
        self.waits_for_all = rule.waits_for_all
        self.arrivals, self.after_s, self.minimum = rule.arrivals, rule.after_s, rule.minimum
        self.adapts = rule.adapts
        self.estimate = estimate
        self.erasures = erasures
        self._shape = len(estimate.probabilities), per_slot

    def follow(self) -> None:
        """Tell the rule."""
        self.rule.follow()

    def deadline_s(self) -> float | None:
        """Seconds after opening at which the rule wants to judge again, or None."""
        return self.rule.deadline_s()

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        return self.rule.judge(round_)

    def observe(self, arrivals_s: Sequence[tuple[int, float]], duration_s: float) -> None:
        """Count a closed round."""
        arrived = np.zeros(self._shape, dtype=bool)
        arrived.ravel()[[arrival for arrival, _ in arrivals_s]] = True
        self.estimate.observe(np.asarray(arrived.any(axis=1)))
        if self.erasures is not None:
            self.erasures.observe(arrived.ravel())
        self.rule.observe(arrivals_s, duration_s)

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold."""
        state = self.rule.state() | _marked(ESTIMATE, self.estimate.state())
        if self.erasures is not None:
            state |= _marked(ERASURES, self.erasures.state())
        return state

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from what `state` returned, `without_groups` if the groups are others now."""
        self.estimate.load_state(_unmarked(ESTIMATE, state))
        known = _unmarked(ERASURES, state)
        if self.erasures is not None and known:
            self.erasures.load_state(known)
        self.rule.load_state(state)


def without_groups(state: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return a rule's state less what was learnt of groups."""
    return {key: values for key, values in state.items() if not key.startswith(ERASURES)}


def _marked(prefix: str, state: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {prefix + key: values for key, values in state.items()}


def _unmarked(prefix: str, state: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
