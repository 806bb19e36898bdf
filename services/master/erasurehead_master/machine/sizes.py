"""How large results may be: never what their own sender says, but what the others do. No I/O.

One result, however large, must not end a run: a machine with broken memory sends finite numbers,
too. So a result is taken at once only if its norm and its loss are at most `LARGEST_RATIO` times
the largest that another slot has sent in good order, or times 1 while no other has sent anything.
A larger one waits for a result of another slot and the same round, which has seen the same model.
If that is about as large, the model is what has grown, and both are taken; if it is not, the larger
one is refused. A run in which only one slot works has nobody to ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

LARGEST_RATIO = 1e9
"""More than rows and coefficients of honest workers make; less than most bits of an exponent."""

Kept = TypeVar("Kept")

Verdict = Literal["take", "wait", "refuse"]


@dataclass(frozen=True, slots=True)
class Size:
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
        self._of_slot: dict[int, float] = {}
        self._slot = -1
        self._first = self._second = 0.0

    def note(self, slot: int, number: float) -> None:
        if number <= self._of_slot.get(slot, -1.0):
            return
        self._of_slot[slot] = number
        if slot == self._slot:
            self._first = number
        elif number > self._first:
            self._second, self._slot, self._first = self._first, slot, number
        elif number > self._second:
            self._second = number

    def of_others(self, slot: int) -> float:
        return self._second if slot == self._slot else self._first

    def knows_others(self, slot: int) -> bool:
        return len(self._of_slot) > (slot in self._of_slot)


class _Known:
    """The largest good results of each slot."""

    def __init__(self) -> None:
        self._norms, self._losses = _Largest(), _Largest()

    def note(self, slot: int, size: Size) -> None:
        self._norms.note(slot, size.norm)
        self._losses.note(slot, size.loss)

    def knows_others(self, slot: int) -> bool:
        return self._norms.knows_others(slot)

    def makes_credible(self, slot: int, size: Size) -> bool:
        # As `Size.dwarfs`, which would need a size to be made for each result.
        return not (
            size.norm > LARGEST_RATIO * self._norms.of_others(slot) > 0
            or size.loss > LARGEST_RATIO * self._losses.of_others(slot) > 0
        )


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
        self._in_round = _Known()

    def begin(self) -> None:
        """Begin a round, with another model."""
        self.suspects.clear()
        self._in_round = _Known()

    def fits(self, slot: int, size: Size) -> bool:
        """Return whether a result is no larger than others' good ones make credible."""
        if not self._ever.knows_others(slot):
            return not size.dwarfs(UNIT)
        return self._ever.makes_credible(slot, size)

    def judge(self, slot: int, size: Size) -> Verdict:
        """Return what to do with a result of the open round."""
        others = [suspect.size for suspect in self.suspects if suspect.slot != slot]
        if any(size.dwarfs(other) for other in others):
            return "refuse"
        if self.fits(slot, size) or any(not other.dwarfs(size) for other in others):
            return "take"
        if self._in_round.knows_others(slot):
            return "take" if self._in_round.makes_credible(slot, size) else "refuse"
        return "wait"

    def admit(self, slot: int, size: Size) -> None:
        """Take note of a good result of the open round."""
        self._ever.note(slot, size)
        self._in_round.note(slot, size)

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
        """Yield all that wait, because nobody is left who could say otherwise."""
        suspects, self.suspects = self.suspects, []
        yield from suspects
