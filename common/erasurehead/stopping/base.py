"""What a stop rule is: when the arrivals so far are enough to close the round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from erasurehead.arrays import FloatArray
from erasurehead.decoding.base import Decoder


class RoundView(Protocol):
    """What a stop rule may look at; the master's round implements it."""

    @property
    def n_arrived(self) -> int:
        """Slots whose (last) result of this round is in; parts, where these count."""

    @property
    def n_arrivals(self) -> int:
        """How many there would be of all slots of the code, filled or not."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the round opened."""

    @property
    def decoder(self) -> Decoder:
        """The decoder, which knows whether the arrivals are exact and how large the error is."""


class StopRule(ABC):
    """Judges one round after another. Pure: time and arrivals come in, a reason comes out.

    A round also closes when no other slot can arrive; the round sees to that, not the rule.
    """

    waits_for_all = False
    """True when every round waits for the full gradient."""

    arrivals: int | None = None
    """r of a rule that closes a round at the r-th arrival, unless it is exact before."""

    after_s: float | None = None
    """Seconds after which a rule closes a round once `minimum` slots arrived, unless it is exact
    before."""

    minimum: int = 1
    """Arrivals without which a round goes on after `after_s`."""

    adapts = False
    """True when it judges by what earlier rounds were like, and by whether what does not arrive is
    remembered (`remember`)."""

    def remember(self, unit_of_arrival: Sequence[int]) -> None:  # noqa: B027
        """Be told that each arrival renews the remembered value of its unit, so that what does not
        arrive is stale, not lost. Said once, before the first round."""

    def follow(self) -> None:  # noqa: B027
        """Be told that the method knows where each remembered value was taken, and waits for those
        that are old. Said in some rounds, the first among them."""

    def deadline_s(self) -> float | None:
        """Seconds after opening at which the rule wants to judge again, or None."""
        return None

    @abstractmethod
    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None to go on. Asked after each arrival and at
        the deadline."""

    def observe(self, arrivals_s: Sequence[tuple[int, float]], duration_s: float) -> None:  # noqa: B027
        """Learn from a closed round: (arrival, seconds after opening) in order, and its duration.

        Arrivals are numbered as by `GradientCode.n_arrivals`.
        """

    def sums_all(self, round_: RoundView) -> bool:
        """True when the estimate of a round that closes now is the sum of all that arrived,
        whatever the decoder's weights, and nothing is missing."""
        return False

    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold for the rule to judge on as before, by names."""
        return {}

    def load_state(self, state: Mapping[str, FloatArray]) -> None:  # noqa: B027
        """Go on from what `state` returned."""
