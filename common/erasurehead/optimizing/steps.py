"""Step sizes as a function of the round, counted from 1."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from erasurehead.errors import UsageError
from erasurehead.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A step size for each round; `str(schedule)` is the text a user would write.

    Attributes
    ----------
    eta: the step size of round 1, positive.
    """

    eta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eta) and self.eta > 0):
            raise UsageError(f"step size eta={self.eta:g} must be a positive number")

    @abstractmethod
    def step_size(self, round_: int) -> float:
        """Return the step size of `round_`, from 1."""


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """eta in every round."""

    def step_size(self, round_: int) -> float:
        """Return eta."""
        return self.eta

    def __str__(self) -> str:
        return f"constant:eta={self.eta!r}"


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """eta * decay^(t-1) in round t; arXiv 1901.09671 section 5 uses 0.1 and 0.99."""

    decay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.decay <= 1:
            raise UsageError(
                f"decay={self.decay:g} of an exponential step size must be above 0 and at most 1"
            )

    def step_size(self, round_: int) -> float:
        """Return eta * decay^(round_ - 1)."""
        return float(self.eta * self.decay ** (round_ - 1))

    def __str__(self) -> str:
        return f"exponential:eta={self.eta!r},decay={self.decay!r}"


@dataclass(frozen=True, kw_only=True)
class Inverse(Schedule):
    """eta / t in round t."""

    def step_size(self, round_: int) -> float:
        """Return eta / round_."""
        return self.eta / round_

    def __str__(self) -> str:
        return f"inverse:eta={self.eta!r}"


SCHEDULES: Registry[Schedule] = Registry(
    "step size", {"constant": Constant, "exponential": Exponential, "inverse": Inverse}
)


def build_schedule(text: str) -> Schedule:
    """Read a schedule: a bare number is a constant step, else ``name:key=value,...``.

    Raises
    ------
    UsageError: neither a number nor a known schedule, or a value out of range.
    """
    try:
        eta = float(text)
    except ValueError:
        return SCHEDULES.build(text)
    return Constant(eta=eta)
