"""Who holds a run up, told by name, each once. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from erasurehead.records import Level, RoundRecord
from erasurehead.straggling.holdups import HoldUp, HoldUps

MOST_NAMED = 8
"""Slots in one sentence."""


class Naming:
    """Turns rounds into sentences about workers that are late, and workers that are missed."""

    def __init__(self) -> None:
        self.hold_ups = HoldUps()
        self._partial = False

    def of(self, record: RoundRecord, *, exact: bool) -> Iterator[tuple[Level, str]]:
        """Take a round, and yield what there is to tell after it.

        `exact`: the scheme means every round to have the full gradient.
        """
        yield from map(_late, self.hold_ups.round_over(record))
        partial = exact and record.erased_tasks > 0
        if partial and not self._partial:
            yield "warning", self._missing(record)
        elif self._partial and exact and not partial:
            yield "info", f"round {record.round} has the full gradient again"
        self._partial = partial

    def rest(self) -> Iterator[tuple[Level, str]]:
        """Yield what there is left to tell when the run is over."""
        yield from map(_late, self.hold_ups.rest())

    def _missing(self, record: RoundRecord) -> str:
        arrived = {arrival.slot for arrival in record.arrivals}
        absent = [s for s in self.hold_ups.all() if s.gone_since or s.slot in record.stragglers]
        absent = [s for s in absent if s.slot not in arrived]
        named = ", ".join(s.called for s in absent[:MOST_NAMED])
        without = f" without {named}" if named else ""
        return (
            f"round {record.round} of an exact scheme went on{without}: {record.erased_tasks} tasks"
            " are missing in its gradient, and in those after it until a worker has their rows"
        )


def _late(slot: HoldUp) -> tuple[Level, str]:
    if not slot.chronic_since:
        return "info", f"{slot.called} keeps up again"
    return (
        "warning",
        f"{slot.called} has become a chronic straggler: late in {slot.late_now:.0%} of the last"
        f" rounds, {slot.behind_now_s:.2g} s behind at least",
    )
