"""How large results may be: never what their own sender says, but what the others do. No I/O.

One result, however large, must not end a run: a machine with broken memory sends finite numbers,
too. So a result is taken at once only if its norm and its loss are at most `LARGEST_RATIO` times
the largest that another slot has sent in good order, or times 1 while no other has sent anything.
A larger one waits for a result of another slot and the same round, which has seen the same model.
If that is about as large, the model is what has grown, and both are taken; if it is not, the larger
one is refused. A run in which only one slot works has nobody to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from msgspec import Struct

LARGEST_RATIO = 1e9
"""More than rows and coefficients of honest workers make; less than most bits of an exponent."""

MOST_UNSETTLED = 1000

Kept = TypeVar("Kept")

Verdict = Literal["take", "wait", "refuse"]


class Size(Struct, frozen=True):
    """The norm of a result's vectors, and its largest loss."""

    norm: float
    loss: float

    def dwarfs(self, other: Size) -> bool:
        """Return whether this is far too large beside another; zeros say nothing of others."""
        return (
            self.norm > LARGEST_RATIO * other.norm > 0 or self.loss > LARGEST_RATIO * other.loss > 0
        )


UNIT = Size(1.0, 1.0)


class _Largest:
    """The largest number of each slot; the largest of all others than a slot is at hand."""

    def __init__(self) -> None:
        self.of_slot: dict[int, float] = {}
        self._slot = -1
        self.first = self.second = 0.0

    def note(self, slot: int, number: float) -> None:
        if number <= self.of_slot.get(slot, -1.0):
            return
        self.of_slot[slot] = number
        if slot == self._slot:
            self.first = number
        elif number > self.first:
            self.second, self._slot, self.first = self.first, slot, number
        elif number > self.second:
            self.second = number

    def of_others(self, slot: int) -> float:
        return self.second if slot == self._slot else self.first

    def knows_others(self, slot: int) -> bool:
        return len(self.of_slot) > (slot in self.of_slot)


class _Known:
    """The largest good results of each slot."""

    def __init__(self) -> None:
        self._norms, self._losses = _Largest(), _Largest()

    def note(self, results: Iterable[tuple[int, Size]]) -> None:
        for slot, size in results:
            self._norms.note(slot, size.norm)
            self._losses.note(slot, size.loss)

    def knows_others(self, slot: int) -> bool:
        return self._norms.knows_others(slot)

    def makes_credible(self, slot: int, size: Size) -> bool:
        norm, loss = self._norms.of_others(slot), self._losses.of_others(slot)
        return not size.dwarfs(Size(norm, loss))

    @property
    def credible_of_any(self) -> tuple[float, float]:
        """A norm and a loss that others make credible, whichever slot's result has them."""
        return LARGEST_RATIO * self._norms.second, LARGEST_RATIO * self._losses.second


@dataclass(slots=True)
class Suspect(Generic[Kept]):
    """A result that waits to be compared: of which slot, how large, and what it is."""

    slot: int
    size: Size
    kept: Kept


class Sizes(Generic[Kept]):
    """Sizes of the good results of a run, and the results of the open round that wait."""

    def __init__(self) -> None:
        self.suspects: list[Suspect[Kept]] = []
        self._ever = _Known()
        """Good results, but for those that were not looked at yet."""
        self._of_round: list[tuple[int, Size]] = []
        """Good results of the open round, and of which slots they are."""
        self._unsettled: list[tuple[int, Size]] = []
        """Good results that were not looked at yet."""
        self._norm, self._loss = 0.0, 0.0
        """A result of at most these fits, whichever slot it is of."""

    def begin(self) -> None:
        """Begin a round, with another model."""
        self.suspects.clear()
        self._of_round = []
        if len(self._unsettled) > MOST_UNSETTLED:
            self._settle()

    def fits(self, slot: int, size: Size) -> bool:
        """Return whether a result is no larger than others' good ones make credible."""
        if size.norm <= self._norm and size.loss <= self._loss:
            return True
        self._settle()
        if not self._ever.knows_others(slot):
            return not size.dwarfs(UNIT)
        return self._ever.makes_credible(slot, size)

    def judge(self, slot: int, size: Size) -> Verdict:
        """Return what to do with a result of the open round."""
        if not self.suspects and self.fits(slot, size):
            return "take"
        others = [suspect.size for suspect in self.suspects if suspect.slot != slot]
        if any(size.dwarfs(other) for other in others):
            return "refuse"
        if self.fits(slot, size) or any(not other.dwarfs(size) for other in others):
            return "take"
        in_round = _Known()
        in_round.note(self._of_round)
        if in_round.knows_others(slot):
            return "take" if in_round.makes_credible(slot, size) else "refuse"
        return "wait"

    def admit(self, slot: int, size: Size) -> None:
        """Take note of a good result of the open round."""
        self._of_round.append((slot, size))
        self._unsettled.append((slot, size))

    def _settle(self) -> None:
        """Look at good results: when somebody wants to know, rather than at each."""
        self._ever.note(self._unsettled)
        self._unsettled.clear()
        self._norm, self._loss = self._ever.credible_of_any

    def suspect(self, slot: int, size: Size, kept: Kept) -> None:
        """Let a result of the open round wait that does not fit."""
        self.suspects.append(Suspect(slot, size, kept))

    def compare(self, slot: int, size: Size) -> Iterator[tuple[Suspect[Kept], bool]]:
        """Yield the results that no longer wait, now that another slot's is there.

        Of each it is told whether it is credible beside that one, which was not refused.
        """
        for suspect in [s for s in self.suspects if s.slot != slot]:
            self.suspects.remove(suspect)
            yield suspect, not suspect.size.dwarfs(size)

    def release(self) -> Iterator[Suspect[Kept]]:
        """Yield all that wait, because no worker is left that could say otherwise."""
        suspects, self.suspects = self.suspects, []
        yield from suspects
