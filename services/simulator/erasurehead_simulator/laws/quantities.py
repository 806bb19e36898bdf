"""What formulas say of means over rounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """What is averaged over rounds; the decode error is ||alpha - 1||^2 / n."""

    ROUND_S = "time of a round"
    ERASED_SHARE = "erased share of tasks"
    DECODE_ERROR = "decode error"


class Relation(StrEnum):
    """How a claim relates to the mean."""

    EQUAL = "="
    ABOUT = "≈"
    AT_MOST = "≤"
    AT_LEAST = "≥"
    MISPRINT = "≠"


@dataclass(frozen=True, slots=True)
class Claim:
    """A mean is, or is at most, or at least, this; `source` says by what."""

    quantity: Quantity
    relation: Relation
    value: float
    source: str


@dataclass(frozen=True)
class Expectation:
    """All that is claimed of a scheme under a delay model, the sharpest of each quantity first."""

    claims: tuple[Claim, ...] = ()

    def of(self, quantity: Quantity) -> tuple[Claim, ...]:
        """Return what is claimed of one quantity."""
        return tuple(claim for claim in self.claims if claim.quantity is quantity)

    def mean(self, quantity: Quantity) -> float | None:
        """Return the mean where a formula gives it, exactly or nearly."""
        for claim in self.of(quantity):
            if claim.relation in (Relation.EQUAL, Relation.ABOUT):
                return claim.value
        return None
