"""How late results of rounds that have closed are, and which results were heard before."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from erasurehead.records import Late

REMEMBERED_ROUNDS = 1024
"""Rounds of which is known when they were opened, and which results came."""


@dataclass(slots=True)
class _Heard:
    """One round: when it was opened, and one bit for each result that may come."""

    opened: float
    results: bytearray


class Lateness:
    """Remembers rounds, and collects what came after they had closed."""

    def __init__(self) -> None:
        self._rounds: OrderedDict[int, _Heard] = OrderedDict()
        self._late: list[Late] = []

    def opened(self, round_: int, now: float, n_results: int) -> None:
        """A round is opened, in which so many results may come."""
        self._rounds[round_] = _Heard(now, bytearray(n_results // 8 + 1))
        if len(self._rounds) > REMEMBERED_ROUNDS:
            self._rounds.popitem(last=False)

    def age_s(self, round_: int, now: float) -> float | None:
        """Return the seconds since a round was opened; None if that is too long ago."""
        known = self._rounds.get(round_)
        return None if known is None else now - known.opened

    def is_new(self, round_: int, number: int) -> bool:
        """Return whether this is known to be the first result of this number of a round."""
        known = self._rounds.get(round_)
        return known is not None and not known.results[number >> 3] >> (number & 7) & 1

    def heard(self, round_: int, number: int) -> None:
        """A result of a round that is remembered has come."""
        self._rounds[round_].results[number >> 3] |= 1 << (number & 7)

    def stale(self, slot: int, round_: int, now: float) -> None:
        """A result of an earlier round has come."""
        after_s = self.age_s(round_, now)
        if after_s is not None:
            self._late.append(Late(slot, round_, after_s))

    def forget(self) -> None:
        """The code is another one: results of earlier rounds are not taken any more."""
        self._rounds.clear()
        self._late.clear()

    def take(self) -> tuple[Late, ...]:
        """Return what has come since the last call."""
        late, self._late = tuple(self._late), []
        return late
