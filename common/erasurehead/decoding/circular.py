"""Disjoint arrivals of a cyclic placement: the largest set by going round the circle."""

from __future__ import annotations

from bisect import bisect_left

from erasurehead.decoding.disjoint import DisjointDecoder
from erasurehead.errors import UsageError


class CircularDecoder(DisjointDecoder):
    """For cyclic placements, where the tasks of a slot are an arc of c on a circle of n.

    Going round greedily from a start gives the most arcs that start allows; one of the starts
    within the first arc is optimal. O(c |R|).

    Raises
    ------
    UsageError: the code is not a cyclic placement.
    """

    name = "circular"
    fits = "cyclic-sums"

    def expect_placement(self) -> None:
        """Refuse a code whose slots hold no arcs.

        Raises
        ------
        UsageError: the code is one.
        """
        code = self.code
        n, self._load = code.n_tasks, int(code.loads[0])
        arcs = [sorted((slot + j) % n for j in range(self._load)) for slot in range(n)]
        if code.n_workers != n or arcs != self._tasks:
            raise UsageError(
                f"decoder 'circular' needs a cyclic placement, which code '{code.name}' is not; use"
                " it with cyclic-sums, or use disjoint"
            )

    def choose(self, arrived: list[int]) -> set[int]:
        """Return a largest set of arrived slots that are at least c apart round the circle."""
        n, c = self.code.n_tasks, self._load
        places = sorted((slot - self.preferred) % n for slot in arrived)
        best: list[int] = []
        for start in places[: bisect_left(places, places[0] + c)]:
            chosen, at = [start], start
            while True:
                index = bisect_left(places, at + c)
                if index == len(places) or places[index] > start + n - c:
                    break
                at = places[index]
                chosen.append(at)
            if len(chosen) > len(best):
                best = chosen
        return {(place + self.preferred) % n for place in best}
