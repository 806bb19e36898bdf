"""How far to step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from erasurehead.errors import UsageError
from erasurehead.optimizing.finding import Finding
from erasurehead.registry import Registry


class StepSize(ABC):
    """Says how far to step, one round after another; `str(size)` is the text a user would write.

    A method asks once a round. A size sees all that the round has found: it may depend on the
    decode error, or compare the loss with the losses before and keep what it has learnt as state.
    """

    @abstractmethod
    def size(self, found: Finding) -> float:
        """Return the size of the step that follows a round, above 0."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold, by names; nothing for a function of the round."""
        return {}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027
        """Go on from what `state` returned."""


@dataclass(frozen=True, kw_only=True)
class Schedule(StepSize):
    """A function of the round alone.

    Attributes
    ----------
    eta: the step size of round 1, positive.
    """

    eta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eta) and self.eta > 0):
            raise UsageError(f"step size eta={self.eta:g} must be a positive number")

    @abstractmethod
    def of_round(self, round_: int) -> float:
        """Return the step size of `round_`, from 1."""

    def size(self, found: Finding) -> float:
        """Return the step size of the round."""
        return self.of_round(found.round)


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """eta in every round."""

    def of_round(self, round_: int) -> float:
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

    def of_round(self, round_: int) -> float:
        """Return eta * decay^(round_ - 1)."""
        return float(self.eta * self.decay ** (round_ - 1))

    def __str__(self) -> str:
        return f"exponential:eta={self.eta!r},decay={self.decay!r}"


@dataclass(frozen=True, kw_only=True)
class Inverse(Schedule):
    """eta / t in round t."""

    def of_round(self, round_: int) -> float:
        """Return eta / round_."""
        return self.eta / round_

    def __str__(self) -> str:
        return f"inverse:eta={self.eta!r}"


STEP_SIZES: Registry[StepSize] = Registry(
    "step size", {"constant": Constant, "exponential": Exponential, "inverse": Inverse}
)


def build_step_size(text: str) -> StepSize:
    """Read a step size: a bare number is a constant step, else ``name:key=value,...``.

    Raises
    ------
    UsageError: neither a number nor a known step size, or a value out of range.
    """
    try:
        eta = float(text)
    except ValueError:
        return STEP_SIZES.build(text)
    return Constant(eta=eta)
