"""How late results of rounds that have closed are."""

from __future__ import annotations

from collections import OrderedDict

from erasurehead.records import Late

REMEMBERED_ROUNDS = 1024
"""Rounds whose opening time is kept."""


class Lateness:
    """Remembers when rounds were opened, and collects what came after they had closed."""

    def __init__(self) -> None:
        self._opened: OrderedDict[int, float] = OrderedDict()
        self._late: list[Late] = []

    def opened(self, round_: int, now: float) -> None:
        """A round is opened."""
        self._opened[round_] = now
        if len(self._opened) > REMEMBERED_ROUNDS:
            self._opened.popitem(last=False)

    def age_s(self, round_: int, now: float) -> float | None:
        """Return the seconds since a round was opened; None if that is too long ago."""
        opened = self._opened.get(round_)
        return None if opened is None else now - opened

    def stale(self, slot: int, round_: int, now: float) -> None:
        """A result of an earlier round has come."""
        after_s = self.age_s(round_, now)
        if after_s is not None:
            self._late.append(Late(slot, round_, after_s))

    def take(self) -> tuple[Late, ...]:
        """Return what has come since the last call."""
        late, self._late = tuple(self._late), []
        return late
