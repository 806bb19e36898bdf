"""The mean of the points at which remembered gradients were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    now: where the round is; the anchor of what has arrived.
    left: anchors that arrivals leave, each once, with the share of all units that leave it; or, if
        the mean is taken afresh, all that remain.
    afresh: the units are not those that the mean was of, or all have arrived.
    """

    heard: frozenset[int]
    now: FloatArray
    left: Sequence[tuple[FloatArray, float]]
    afresh: bool

    @classmethod
    def of(cls, found: Finding, heard: frozenset[int]) -> MeanMove:
        """Return what a finding with arrivals means for the mean of some units' anchors."""
        arrived = {renewal.unit: renewal.fresh.point for renewal in found.renewals}
        anchors = {u: point for u, point in enumerate(found.anchors) if point is not None}
        now_heard = frozenset(anchors) | frozenset(arrived)
        afresh = now_heard != heard or len(arrived) == len(heard)
        points = (anchors | arrived).values() if afresh else [anchors[unit] for unit in arrived]
        shares = _shares(list(points), len(now_heard))
        return cls(now_heard, found.renewals[0].fresh.point, shares, afresh)

    def go(self, mean: FloatArray, here: slice, moved: FloatArray) -> None:
        """Move a part of the mean, shape (n_parameters,), and put into `moved` by how much."""
        part, leaving = mean[here], -1.0
        if self.afresh:
            np.negative(part, out=moved)
            leaving = 1.0
        else:
            np.multiply(self.now[here], sum(share for _, share in self.left), out=moved)
        for anchor, share in self.left:
            blas.add_weighted(moved, anchor[here], leaving * share)
        part += moved


def _shares(anchors: Sequence[FloatArray], n_units: int) -> Sequence[tuple[FloatArray, float]]:
    once = {id(anchor): anchor for anchor in anchors}
    counts = Counter(map(id, anchors))
    return [(once[key], count / n_units) for key, count in counts.items()]
