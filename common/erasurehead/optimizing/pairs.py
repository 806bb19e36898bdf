"""What steps and changes of the gradient say of a Hessian: L-BFGS from a matrix of dot products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray, Vector
from erasurehead.blas import dot
from erasurehead.errors import DataError
from erasurehead.optimizing.ordered_pairs import OrderedPairs
from erasurehead.optimizing.pair_rows import PairRows
from erasurehead.parts import InParts, at_once, chunks, n_chunks

Digits = Literal["f8", "f4"]
"""Precision in which pairs are kept and multiplied."""

LARGE = 1 << 16
"""Parameters from which pairs take longer to read than all else of a step."""

LEAST_CURVATURE = 1e-8
"""A pair of less curvature than this share of the largest teaches nothing but rounding."""

MOST_CURVATURE = 3.0
"""A pair of a quadratic has y·y <= largest curvature * s·y. One that is far beyond, because units
of different curvature moved by different ways, has less s·y than it should, and would let steps
leap."""

LEAST_PAIRS = 2
"""That say how far the minimum is."""


class Squares(NamedTuple):
    """s·s, s·y and y·y of a pair."""

    step_step: float
    step_change: float
    change_change: float


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """scale * v + sum_i weights_i w_i for a vector v and the vectors w of all pairs."""

    scale: float
    weights: FloatArray

    def times(self, factor: float) -> Combination:
        """Return it times a number."""
        return Combination(factor * self.scale, factor * self.weights)


class CurvaturePairs:
    """The last m pairs of a step s and the change y of the gradient along it.

    They make B, by the recursion of BFGS from B_0 = I/gamma, and its inverse H. Neither is formed:
    with the products of all pairs with each other, both follow from the products with one vector,
    and H g is one combination of the vectors kept (Byrd, Nocedal, Schnabel, Mathematical
    Programming 63, 1994; Chen, Wang, Zhou, "Large-scale L-BFGS using MapReduce", 2014). So H g
    reads the pairs twice. The products of a new pair follow from those of gradients and ways that
    were multiplied anyway.

    Memory: 2 m + 2 vectors of all parameters, and two to be multiplied; in single precision half as
    much.

    Parameters
    ----------
    n_parameters: length of the vectors.
    largest: curvature there can be; None: it has no bound.
    first_scale: gamma as long as there is no pair. It may be set as long as nothing was learnt.
    keep: m.
    digits: single precision halves the time of a step of a large model. Products of long vectors
        lose less by it than one number does.
    in_parts: how long vectors are multiplied.

    Attributes
    ----------
    way: for a vector to multiply with all pairs, shape (n_parameters,).
    scale: gamma.
    """

    def __init__(
        self,
        n_parameters: int,
        largest: float | None,
        first_scale: float,
        keep: int = 10,
        digits: Digits = "f8",
        in_parts: InParts = at_once,
    ) -> None:
        self.first_scale = first_scale
        self.scale = first_scale
        self._largest = largest
        self._n = n_parameters
        self._keep = keep
        self._in_parts = in_parts
        n_rows = 2 * (keep + 1)
        # Row 0 is the gradient, rows 2 i + 1 and 2 i + 2 are s and y of place i; there is always a
        # place for another pair.
        self._rows = PairRows(n_rows + 1, n_parameters, digits)
        self._most = float(np.finfo(self._rows.dtype).max)
        self._way = self._rows.padded()
        self.way: Vector = self._way[:n_parameters]
        self._gram: FloatArray = np.zeros((n_rows, n_rows))
        self._of_gradient: FloatArray | None = None
        """Products of the gradient's chunks, as far as they were found."""
        self._order: list[int] = []
        """Places, the oldest pair's first."""
        self._ordered: OrderedPairs
        self._arrange()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def n_products(self) -> int:
        """Length of the products of a vector with all pairs, two for each place."""
        return len(self._gram)

    def clear(self) -> None:
        """Forget all pairs."""
        self._order = []
        self.scale = self.first_scale
        self._arrange()

    def put_gradient(self, gradient: FloatArray, here: slice) -> None:
        """Put some chunks of the gradient, of their length, where it is multiplied."""
        self._rows.write(0, gradient, here)

    def add_to_gradient(self, change: Vector, here: slice) -> None:
        """Add to some chunks of the gradient, as it is multiplied."""
        self._rows.add(0, change, here)

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which pairs are kept."""
        return self._rows.dtype

    @property
    def newest_step(self) -> int:
        """The number of the newest pair's s among products and weights."""
        return 2 * self._order[-1]

    def begin(self) -> None:
        """Let the gradient be multiplied stretch by stretch."""
        self._of_gradient = np.zeros((n_chunks(self._n), self._n_rows + 1))

    def multiply(self, here: slice) -> None:
        """Multiply a stretch of the gradient with all pairs and with the one that was put."""
        assert self._of_gradient is not None
        self._rows.multiply(None, here, self._of_gradient)

    def multiply_gradient(self) -> tuple[FloatArray, float]:
        """Return the products of the gradient with all pairs and with the one that was put; and
        with itself.

        The shape is (n_products,); what belongs to no pair is 0. Unless all stretches were
        multiplied since `begin`, that is done now.
        """
        of_chunks, self._of_gradient = self._of_gradient, None
        found = self._multiply(None) if of_chunks is None else of_chunks.sum(axis=0)
        put = (2 * self._free, 2 * self._free + 1)
        return self._only(found[1:], np.append(self._ordered.rows, put)), float(found[0])

    def multiply_way(self) -> FloatArray:
        """Return the products of `way` with all pairs, shape (n_products,)."""
        if not self._order:
            return np.zeros(self.n_products)
        return self.only_kept(self._multiply(self._way)[1:])

    def take_way(self) -> Vector:
        """Return what was put into `way`, which is another vector of zeros from now on."""
        taken = self.way
        self._way = self._rows.padded()
        self.way = self._way[: self._n]
        return taken

    def put(self, step: Vector, change: Vector, here: slice) -> None:
        """Put some chunks of a pair where it will be kept, if it is taken."""
        row = 2 * self._free + 1
        with np.errstate(over="ignore"):  # it is not admitted then
            self._rows.write(row, step, here)
            self._rows.write(row + 1, change, here)

    def mix_change(self, share: float, vector: FloatArray, weight: float) -> tuple[float, float]:
        """Make y of the pair that was put share y + weight v; return its s·y and y·y.

        `vector` is v, shape (n_parameters,).
        """
        row = 2 * self._free + 1
        found = np.zeros((n_chunks(self._n), 2))

        def mix(part: slice) -> None:
            for chunk, here in chunks(part):
                step, change = self._rows.read(row, here), self._rows.read(row + 1, here)
                mixed = share * change + weight * vector[here]
                found[chunk] = dot(step, mixed), dot(mixed, mixed)
                self._rows.write(row + 1, mixed, here)

        self._in_parts(self._n, mix)
        step_change, change_change = found.sum(axis=0).tolist()
        return step_change, change_change

    def admits(self, pair: Squares) -> bool:
        """Return whether the pair that was put has some curvature, no more than there can be."""
        curved, largest = pair.step_change, self._largest or 1.0 / self.first_scale
        admitted = curved > LEAST_CURVATURE * largest * pair.step_step
        if self._largest is not None:
            admitted &= pair.change_change <= MOST_CURVATURE * largest * curved
        admitted &= max(pair.step_step, pair.change_change) < self._most
        if not admitted:
            # Places without a pair are multiplied, too.
            self._rows.clear(slice(2 * self._free + 1, 2 * self._free + 3))
        return admitted

    def learn(self, pair: Squares, of_step: FloatArray, of_change: FloatArray) -> None:
        """Take the pair that was put, and is admitted. The oldest makes room for it.

        Parameters
        ----------
        of_step, of_change: products of s and of y with all other pairs, shape (n_products,).
        """
        rows, step, change = self._ordered.rows, 2 * self._free, 2 * self._free + 1
        for row, products in ((step, of_step), (change, of_change)):
            self._gram[row, rows] = self._gram[rows, row] = products[rows]
        self._gram[step, step] = pair.step_step
        self._gram[step, change] = self._gram[change, step] = pair.step_change
        self._gram[change, change] = pair.change_change
        self.scale = pair.step_change / pair.change_change
        self._order.append(self._free)
        del self._order[: -self._keep]
        self._arrange()
        self._drop_what_depends()

    def only_kept(self, products: FloatArray) -> FloatArray:
        """Return products without that of a pair that was put and not taken."""
        return self._only(products, self._ordered.rows)

    def newton(self, products: FloatArray) -> Combination:
        """Return H v for a vector v of which the products with all pairs are known."""
        return Combination(self.scale, self._ordered.newton(products))

    def decrease(self, products: FloatArray, square: float) -> float | None:
        """Return how far f is above its minimum by the pairs, where its gradient is g.

        It is g·H g / 2 for an H that begins with the scale `far_scale` (gamma is too short for
        that). H leaves the curvature of each pair to it, and scales what is left of g.

        Parameters
        ----------
        products: of g with all pairs.
        square: g·g.

        Returns
        -------
        None: there are fewer than two pairs.
        """
        if len(self._order) < LEAST_PAIRS:
            return None
        return self._ordered.decrease(products, square)

    def curvature_along(self, products: FloatArray, square: float) -> float:
        """Return v·B v for a vector v of which products and v·v are known; at least 0."""
        straight = square / self.scale
        if not self._order:
            return straight
        return max(straight + self._ordered.learnt_along(products), 0.0)

    def products_of(self, what: Combination, products: FloatArray) -> FloatArray:
        """Return the products of a combination with all pairs, from those of its vector."""
        found = np.zeros(self.n_products)
        rows = self._ordered.rows
        found[rows] = what.scale * products[rows] + self._ordered.multiply(what.weights)
        return found

    def combine(self, what: Combination, here: slice) -> Vector:
        """Return some chunks (`erasurehead.parts.chunks`) of a combination of the gradient and all
        pairs, of their length."""
        n_rows = self._n_rows if self._order else 0
        return self._rows.combine(np.append(what.scale, what.weights[:n_rows]), here)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold."""
        rows = self._ordered.rows
        kept = {
            f"pair_{place}": np.stack([self._rows.row(row + 1) for row in self._rows_of([place])])
            for place in self._order
        }
        return kept | {
            "order": np.array(self._order, dtype=np.int64),
            "products": self._gram[rows[:, None], rows],
            "scales": np.array([self.first_scale, self.scale]),
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned, to the last bit, once the gradient is put again.

        Raises
        ------
        DataError: it is of more pairs, or of vectors of another length.
        """
        order = [int(place) for place in state.get("order", [self._keep + 1])]
        for place in order:
            pair = state.get(f"pair_{place}", np.zeros(0))
            if place > self._keep or (pair.shape, pair.dtype) != ((2, self._n), self._rows.dtype):
                raise DataError(
                    f"the checkpoint's pairs have shape {pair.shape} and type {pair.dtype}, and the"
                    f" optimizer keeps {self._keep} of shape {(2, self._n)} as"
                    f" {self._rows.dtype}; resume with the optimizer it was written by"
                )
            for row, values in zip(self._rows_of([place]), pair, strict=True):
                self._rows.write(row + 1, values, slice(0, self._n))
        rows = self._rows_of(order)
        self._gram[np.ix_(rows, rows)] = state["products"]
        self._order = order
        self.first_scale, self.scale = (float(scale) for scale in state["scales"])
        self._arrange()

    @property
    def _free(self) -> int:
        """The first place without a pair."""
        return min(set(range(self._keep + 1)) - set(self._order))

    @property
    def _n_rows(self) -> int:
        """Rows that are multiplied: those with pairs, those between, and those of the free place,
        in which the next pair may be."""
        return 2 * (max([*self._order, self._free]) + 1)

    def _rows_of(self, places: Sequence[int]) -> list[int]:
        return [row for place in places for row in (2 * place, 2 * place + 1)]

    def _arrange(self) -> None:
        """Take note of which pairs there are, with their products and gamma."""
        self._ordered = OrderedPairs(self._gram, self._order, self.scale)

    def _only(self, products: FloatArray, rows: IntArray) -> FloatArray:
        """Return products with some rows, 0 for others; shape (n_products,)."""
        kept = np.zeros(self.n_products)
        kept[rows] = products[rows]
        return kept

    def _multiply(self, vector: Vector | None) -> FloatArray:
        """Return the products of a padded vector (None: the gradient) with the rows in use."""
        of_chunks = np.zeros((n_chunks(self._n), self._n_rows + 1))
        self._in_parts(self._n, lambda part: self._rows.multiply(vector, part, of_chunks))
        return np.asarray(of_chunks.sum(axis=0))

    def _drop_what_depends(self) -> None:
        """Let the oldest pairs go until no step is a combination of others, to rounding."""
        while len(self._order) > 1 and not self._ordered.independent:
            del self._order[0]
            self._arrange()
