"""What is expected of units on their ways from their anchors to the point that is asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.blas import dot
from erasurehead.optimizing.finding import UnitGradient
from erasurehead.optimizing.newton_steps import NewtonSteps
from erasurehead.optimizing.penalty import Penalty
from erasurehead.parts import CHUNK, InParts, chunks, n_chunks


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Of a unit with the remembered gradient h, along v = point - anchor.

    Attributes
    ----------
    rise: h·v.
    curvature: v·B v of the objective without its penalty; at least 0.
    products: of v with all pairs.
    scaled: D^1/2 v for the metric D, in the precision of pairs, shape (n_parameters,).
    """

    rise: float
    curvature: float
    products: FloatArray
    scaled: Vector


_Ends = tuple[FloatArray, FloatArray]


class Ways:
    """Looks along ways, once along those of units that have the same anchor and received the same.

    What there is to find depends on the point and on what is remembered, not on arrivals: it can
    be found before they come. What is found of a unit does not depend on others.

    Parameters
    ----------
    steps: have the metric, and what pairs say of the curvature.
    penalty: whose curvature is none of the units'.
    in_parts: how long vectors are worked on.
    """

    def __init__(self, steps: NewtonSteps, penalty: Penalty, in_parts: InParts) -> None:
        self._steps = steps
        self._penalty = penalty
        self._in_parts = in_parts
        self._way = np.empty(len(steps.gradient))
        self.forget()

    def forget(self) -> None:
        """Forget what was found: the anchors or the pairs are others."""
        # By the arrays' numbers, which are theirs as long as the arrays are kept.
        self._curvatures: dict[tuple[int, int], tuple[_Ends, float, FloatArray, Vector]] = {}
        self._found: dict[tuple[int, int], tuple[FloatArray, UnitGradient, Way]] = {}
        self._gone: tuple[int, int] | None = None
        """The ends of the way that is at hand."""

    def look_along(self, point: FloatArray, known: UnitGradient) -> Way:
        """Return what there is to find of a unit."""
        key = id(point), id(known.values)
        if key not in self._found:
            _, curvature, products, scaled = self._along(point, known.point)
            ends = id(point), id(known.point)
            if self._gone != ends:
                np.subtract(point, known.point, out=self._way)
                self._gone = ends
            way = self._way if known.support is None else self._way.take(known.support)
            self._found[key] = (
                point,
                known,
                Way(dot(known.values, way), curvature, products, scaled),
            )
        return self._found[key][2]

    def _along(
        self, point: FloatArray, anchor: FloatArray
    ) -> tuple[_Ends, float, FloatArray, Vector]:
        ends = id(point), id(anchor)
        if ends not in self._curvatures:
            self._curvatures[ends] = (point, anchor), *self._look(point, anchor)
        return self._curvatures[ends]

    def _look(self, point: FloatArray, anchor: FloatArray) -> tuple[float, FloatArray, Vector]:
        """Return the curvature along the way from an anchor, its products, and it as scaled."""
        root, pairs = self._steps.metric.root, self._steps.pairs
        found = np.zeros((n_chunks(len(point)), 2))

        def look(part: slice) -> None:
            scratch = np.empty(CHUNK)
            for chunk, here in chunks(part):
                way, scaled = self._way[here], scratch[: here.stop - here.start]
                np.subtract(point[here], anchor[here], out=way)
                np.multiply(way, root[here], out=scaled)
                pairs.way[here] = scaled
                found[chunk] = dot(scaled, scaled), self._penalty.along(way, here)

        self._in_parts(len(point), look)
        self._gone = id(point), id(anchor)
        of_way, of_penalty = found.sum(axis=0).tolist()
        products = pairs.multiply_way()
        curvature = max(pairs.curvature_along(products, of_way) - of_penalty, 0.0)
        return curvature, products, pairs.take_way()
