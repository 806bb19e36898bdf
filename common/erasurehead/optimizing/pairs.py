"""What steps and changes of the gradient say of a Hessian: L-BFGS from a matrix of dot products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from erasurehead import blas
from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.optimizing.far_scale import far_scale

Digits = Literal["f8", "f4"]
"""Precision in which pairs are kept and multiplied."""

LARGE = 1 << 16
"""Parameters from which pairs take longer to read than all else of a step."""

BLAS_NUMBERS = 9000
"""Numbers in the largest matrix to hand to BLAS at once; see `erasurehead.blas.LONGEST`."""

CACHED_BLOCKS = 32
"""Blocks of pairs that stay in a cache while several vectors are multiplied with them."""

LEAST_CURVATURE = 1e-8
"""A pair of less curvature than this share of the largest teaches nothing but rounding."""

MOST_CURVATURE = 3.0
"""A pair of a quadratic has y·y <= largest curvature * s·y. One that is far beyond, because units
of different curvature moved by different ways, has less s·y than it should, and would let steps
leap."""

LEAST_PAIRS = 2
"""That say how far the minimum is."""

GRADIENT, STEP, CHANGE = range(3)
"""Places of the vectors that wait to be multiplied with all pairs."""


class CurvaturePairs:
    """The last m pairs of a step s and the change y of the gradient along it.

    They make B, by the recursion of BFGS from B_0 = I/gamma, and its inverse H. Neither is formed:
    with the products of all pairs with each other, both follow from the products with one vector,
    and H g is one combination of the vectors kept (Byrd, Nocedal, Schnabel, Mathematical
    Programming 63, 1994; Chen, Wang, Zhou, "Large-scale L-BFGS using MapReduce", 2014). So a step
    reads the pairs twice, and a new pair costs no reading of its own.

    Memory: 2 m + 4 vectors of all parameters, in single precision half as much.

    Parameters
    ----------
    n_parameters: length of the vectors.
    largest: curvature there can be; None: it has no bound.
    first_scale: gamma as long as there is no pair. It may be set as long as nothing was learnt.
    keep: m.
    digits: single precision halves the time of a step of a large model. Products of long vectors
        lose less by it than one number does.
    """

    def __init__(
        self,
        n_parameters: int,
        largest: float | None,
        first_scale: float,
        keep: int = 10,
        digits: Digits = "f8",
    ) -> None:
        self._largest = largest
        self.first_scale = first_scale
        self.scale = first_scale
        self._n = n_parameters
        self._keep = keep
        length = max(1, min(n_parameters, BLAS_NUMBERS // (2 * keep)))
        self._blocks = (-(-n_parameters // length), length)
        n_padded = self._blocks[0] * length
        # Rows 2 i and 2 i + 1 are s and y of place i. What is beyond the parameters stays 0.
        self._rows = np.zeros((2 * keep, n_padded), dtype=digits)
        self._waiting = np.zeros((3, n_padded), dtype=digits)
        self._sum = np.zeros(self._blocks, dtype=digits)
        self._gram: FloatArray = np.zeros((2 * keep, 2 * keep))
        self._order: list[int] = []
        """Places, the oldest pair's first."""
        self._is_new = False
        """The newest pair waits to be multiplied with all."""
        self.decrease: float | None = None
        """How far the objective is above its minimum by the pairs, where `newton` was asked last:
        g·H g / 2 for an H that begins with the scale `far_scale` (gamma is too short for that);
        None: there are fewer than two pairs."""

    def __len__(self) -> int:
        return len(self._order)

    def clear(self) -> None:
        """Forget all pairs."""
        self._order, self._is_new = [], False
        self.scale = self.first_scale

    def learn(self, step: FloatArray, change: FloatArray) -> bool:
        """Take a pair, unless there is hardly any curvature along it, or more than there can be.

        The oldest makes room for it. Returns whether it is taken.
        """
        self._settle()
        curved, of_change = blas.dot(step, change), blas.squared_norm(change)
        largest = self._largest or 1.0 / self.first_scale
        if not curved > LEAST_CURVATURE * largest * blas.squared_norm(step):
            return False
        if self._largest is not None and of_change > MOST_CURVATURE * self._largest * curved:
            return False
        self.scale = curved / of_change
        if len(self._order) == self._keep:
            del self._order[0]
        place = min(set(range(self._keep)) - set(self._order))
        self._order.append(place)
        for which, vector in ((STEP, step), (CHANGE, change)):
            self._waiting[which, : self._n] = vector
            self._rows[2 * place + which - STEP] = self._waiting[which]
        self._is_new = True
        return True

    def newton(self, gradient: FloatArray, out: FloatArray) -> None:
        """Put H g into `out`."""
        self.decrease = None
        if not self._order:
            np.multiply(gradient, self.scale, out=out)
            return
        self._waiting[GRADIENT, : self._n] = gradient
        (products,) = self._multiply([GRADIENT])
        of_steps, of_changes, gamma = *self._split(products), self.scale
        upper, diagonal = np.triu(self._step_change), np.diag(np.diag(self._step_change))
        inner = solve_triangular(upper, of_steps, check_finite=False)
        if len(self._order) >= LEAST_PAIRS:
            self.decrease = self._decrease(blas.squared_norm(gradient), inner, of_changes)
        middle = (diagonal + gamma * self._change_change) @ inner - gamma * of_changes
        weights = np.zeros(len(products))
        weights[self._steps] = solve_triangular(upper, middle, trans=1, check_finite=False)
        weights[self._changes] = -gamma * inner
        rows = self._in_blocks(self._rows[: len(weights)])
        np.matmul(weights.astype(rows.dtype), rows, out=self._sum)
        np.multiply(gradient, gamma, out=out)
        out += self._sum.reshape(-1)[: self._n]

    def curvature_along(self, way: FloatArray) -> float:
        """Return v·B v for the vector v of a way; at least 0."""
        straight = blas.squared_norm(way) / self.scale
        if not self._order:
            return straight
        self._settle()
        self._waiting[GRADIENT, : self._n] = way
        (products,) = self._multiply([GRADIENT])
        of_steps, of_changes = self._split(products)
        lower, curved = np.tril(self._step_change, -1), np.diag(self._step_change)
        inner = of_steps / self.scale + lower @ (of_changes / curved)
        across = solve_triangular(self._factor(), inner, lower=True, check_finite=False)
        learnt = float(of_changes @ (of_changes / curved)) - float(across @ across)
        return max(straight + learnt, 0.0)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the arrays themselves."""
        self._settle()
        n_rows = self._n_rows
        return {
            "pairs": self._rows[:n_rows, : self._n],
            "products": self._gram[:n_rows, :n_rows],
            "order": np.array(self._order, dtype=np.int64),
            "scales": np.array([self.first_scale, self.scale]),
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned, to the last bit.

        Raises
        ------
        DataError: it is of another number of pairs, or of vectors of another length.
        """
        pairs = state.get("pairs", np.zeros(0))
        n_rows, most = len(pairs), 2 * self._keep
        if pairs.shape != (n_rows, self._n) or n_rows > most or pairs.dtype != self._rows.dtype:
            raise DataError(
                f"the checkpoint's pairs have shape {pairs.shape} and type {pairs.dtype}, and the"
                f" optimizer keeps at most {most} vectors of {self._n} parameters as"
                f" {self._rows.dtype}; resume with the optimizer it was written by"
            )
        self._is_new = False
        self._rows[:n_rows, : self._n] = pairs
        self._gram[:n_rows, :n_rows] = state["products"]
        self._order = [int(place) for place in state["order"]]
        self.first_scale, self.scale = (float(scale) for scale in state["scales"])

    @property
    def _n_rows(self) -> int:
        """Rows of which some hold a pair, the first of them all."""
        return 2 * (max(self._order, default=-1) + 1)

    @property
    def _steps(self) -> list[int]:
        return [2 * place for place in self._order]

    @property
    def _changes(self) -> list[int]:
        return [2 * place + 1 for place in self._order]

    @property
    def _step_change(self) -> FloatArray:
        """s_i·y_j of all pairs in order."""
        return self._gram[np.ix_(self._steps, self._changes)]

    @property
    def _change_change(self) -> FloatArray:
        return self._gram[np.ix_(self._changes, self._changes)]

    def _decrease(self, squared: float, inner: FloatArray, of_changes: FloatArray) -> float:
        """Return g·H g / 2, where |g|^2 is `squared`, `inner` is R^-1 S'g for the upper triangle R
        of S'Y, and `of_changes` is Y'g: H leaves the curvature of each pair to it, and scales what
        is left of g, which is g - Y inner."""
        curved, steps = np.diag(self._step_change), np.diag(self._gram)[self._steps]
        of_pairs = float(inner @ (self._change_change @ inner) - 2.0 * (inner @ of_changes))
        far = far_scale((steps / curved).tolist())
        return 0.5 * (float(inner @ (curved * inner)) + far * max(squared + of_pairs, 0.0))

    def _split(self, products: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return products with all steps and with all changes, in order."""
        return products[self._steps], products[self._changes]

    def _factor(self) -> FloatArray:
        """Return the Cholesky factor of S'S / gamma + L C^-1 L', L and C as in v·B v."""
        lower, curved = np.tril(self._step_change, -1), np.diag(self._step_change)
        between = self._gram[np.ix_(self._steps, self._steps)] / self.scale
        return np.asarray(
            np.linalg.cholesky(between + (lower / curved) @ lower.T), dtype=np.float64
        )

    def _in_blocks(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of shape (blocks, rows, length of a block)."""
        return rows.reshape(len(rows), *self._blocks).transpose(1, 0, 2)

    def _settle(self) -> None:
        """Multiply the newest pair with all."""
        if self._is_new:
            self._multiply([])

    def _multiply(self, waiting: Sequence[int]) -> list[FloatArray]:
        """Return the products of what waits in these places with all rows, shape (n_rows,) each.

        The newest pair is multiplied at the same time.
        """
        places = [*waiting, *((STEP, CHANGE) if self._is_new else ())]
        rows = self._in_blocks(self._rows[: self._n_rows])
        vectors = self._in_blocks(self._waiting)
        products: list[FloatArray] = [np.zeros(self._n_rows) for _ in places]
        for lo in range(0, len(rows), CACHED_BLOCKS):
            here = slice(lo, lo + CACHED_BLOCKS)
            # One at a time: what one comes to must not depend on which others are with it.
            for place, product in zip(places, products, strict=True):
                found = np.matmul(rows[here], vectors[here, place, :, None])
                product += found[:, :, 0].sum(axis=0, dtype=np.float64)
        if self._is_new:
            self._is_new = False
            newest = 2 * self._order[-1]
            for row, product in zip((newest, newest + 1), products[-2:], strict=True):
                self._gram[row, : self._n_rows] = self._gram[: self._n_rows, row] = product
            self._drop_what_depends()
        return products[: len(waiting)]

    def _drop_what_depends(self) -> None:
        """Let the oldest pairs go until no step is a combination of others, to rounding."""
        while len(self._order) > 1:
            try:
                self._factor()
            except np.linalg.LinAlgError:
                del self._order[0]
            else:
                return
