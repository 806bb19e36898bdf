"""The mean of the points at which remembered gradients were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
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
    heard: units of which anchors are remembered, if the round is absorbed.
    taken: anchors of what has arrived, each once, with the share of all units that take it; or, if
        the mean is taken afresh, those of all units.
    left: anchors that arrivals leave, in the same way; none, if the mean is taken afresh.
    afresh: the units are not those that the mean was of, or all have arrived.
    """

    heard: frozenset[int]
    taken: Sequence[tuple[FloatArray, float]]
    left: Sequence[tuple[FloatArray, float]]
    afresh: bool

    @classmethod
    def of(cls, found: Finding, heard: frozenset[int]) -> MeanMove:
        """Return what a finding with arrivals means for the mean of some units' anchors."""
        arrived = {renewal.unit: renewal.fresh.point for renewal in found.renewals}
        anchors = {u: point for u, point in enumerate(found.anchors) if point is not None}
        now_heard = frozenset(anchors) | frozenset(arrived)
        afresh = now_heard != heard or len(arrived) == len(heard)
        n_units = len(now_heard)
        if afresh:
            return cls(now_heard, _shares((anchors | arrived).values(), n_units), (), afresh)
        left = _shares([anchors[unit] for unit in arrived], n_units)
        return cls(now_heard, _shares(arrived.values(), n_units), left, afresh)

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
