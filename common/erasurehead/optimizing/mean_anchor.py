"""The mean of the points at which remembered gradients were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from erasurehead import blas
from erasurehead.arrays import FloatArray
from erasurehead.optimizing.finding import Finding


@dataclass(frozen=True, slots=True, eq=False)
class MeanMove:
    """How the mean anchor moves with a round's arrivals.

    Attributes
    ----------
    anchors: of all units of which anchors are remembered, if the round is absorbed.
    ways: of what has arrived, unless the mean is taken afresh: the unit, where it is now, and where
        it was.
    taken: if the mean is taken afresh, the anchors of all units, each once, with the share of all
        units that take it.
    afresh: the mean is taken afresh: of other units than before, or all have arrived.
    others: the units are not those that the mean was of, or were not in between.
    """

    anchors: Mapping[int, FloatArray]
    ways: Sequence[tuple[int, FloatArray, FloatArray]]
    taken: Sequence[tuple[FloatArray, float]]
    afresh: bool
    others: bool

    @classmethod
    def of(cls, found: Finding, heard: frozenset[int]) -> MeanMove:
        """Return what a finding with arrivals means for the mean of some units' anchors."""
        arrived = {renewal.unit: renewal.fresh.point for renewal in found.renewals}
        anchors = {u: point for u, point in enumerate(found.anchors) if point is not None}
        now = anchors | arrived
        # A unit that was forgotten and is back has no anchor that it leaves.
        others = now.keys() != heard or anchors.keys() != heard
        afresh = others or len(arrived) == len(heard)
        ways = [] if afresh else [(unit, point, anchors[unit]) for unit, point in arrived.items()]
        taken = _shares(now.values(), len(now)) if afresh else ()
        return cls(now, ways, taken, afresh, others)

    @property
    def heard(self) -> frozenset[int]:
        """The units of the mean."""
        return frozenset(self.anchors)

    def go(self, mean: FloatArray, here: slice, moved: FloatArray) -> None:
        """Move a stretch of the mean, shape (n_parameters,), and put into `moved` by how much.

        Unless the mean is taken afresh, it moves by the ways of what has arrived.
        """
        part = mean[here]
        if self.afresh:
            np.negative(part, out=moved)
            for anchor, share in self.taken:
                blas.add_weighted(moved, anchor[here], share)
        else:
            _, point, anchor = self.ways[0]
            np.subtract(point[here], anchor[here], out=moved)
            for _, point, anchor in self.ways[1:]:
                moved += point[here]
                moved -= anchor[here]
            moved *= 1.0 / len(self.anchors)
        part += moved


def _shares(anchors: Collection[FloatArray], n_units: int) -> Sequence[tuple[FloatArray, float]]:
    once = {id(anchor): anchor for anchor in anchors}
    counts = Counter(map(id, anchors))
    return [(once[key], count / n_units) for key, count in counts.items()]
