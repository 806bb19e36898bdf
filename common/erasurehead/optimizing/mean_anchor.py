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
    taken: anchors of what has arrived, each once, with the share of all units that take it; or, if
        the mean is taken afresh, those of all units.
    left: anchors that arrivals leave, in the same way; none, if the mean is taken afresh.
    afresh: the mean is taken afresh: of other units than before, or all have arrived.
    others: the units are not those that the mean was of, or were not in between.
    """

    anchors: Mapping[int, FloatArray]
    taken: Sequence[tuple[FloatArray, float]]
    left: Sequence[tuple[FloatArray, float]]
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
        if afresh:
            return cls(now, _shares(now.values(), len(now)), (), afresh, others)
        left = _shares([anchors[unit] for unit in arrived], len(now))
        return cls(now, _shares(arrived.values(), len(now)), left, afresh, others)

    @property
    def heard(self) -> frozenset[int]:
        """The units of the mean."""
        return frozenset(self.anchors)

    def go(self, mean: FloatArray, here: slice, moved: FloatArray) -> None:
        """Move a part of the mean, shape (n_parameters,), and put into `moved` by how much."""
        part = mean[here]
        if self.afresh:
            np.negative(part, out=moved)
        else:
            moved[:] = 0.0
        for anchor, share in self.taken:
            blas.add_weighted(moved, anchor[here], share)
        for anchor, share in self.left:
            blas.add_weighted(moved, anchor[here], -share)
        part += moved


def _shares(anchors: Collection[FloatArray], n_units: int) -> Sequence[tuple[FloatArray, float]]:
    once = {id(anchor): anchor for anchor in anchors}
    counts = Counter(map(id, anchors))
    return [(once[key], count / n_units) for key, count in counts.items()]
