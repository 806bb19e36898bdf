"""What BFGS makes of the products of pairs with each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.optimizing.far_scale import far_scale


class OrderedPairs:
    """Pairs (s, y) from the oldest to the newest, as the products of all s and y with each other.

    With S and Y of all s and y, R is the upper triangle of S'Y, L what is below its diagonal C. All
    that depends on the pairs alone is found once.

    Parameters
    ----------
    products: of all places' vectors with each other; s of place i is number 2 i, y is 2 i + 1.
    order: places, the oldest pair's first.
    scale: gamma.

    Attributes
    ----------
    steps, changes, rows: numbers of all s, of all y, and of both, place by place.
    """

    def __init__(self, products: FloatArray, order: Sequence[int], scale: float) -> None:
        rows = [row for place in order for row in (2 * place, 2 * place + 1)]
        self.rows: IntArray = np.array(rows, dtype=np.int64)
        self.steps, self.changes = self.rows[::2], self.rows[1::2]
        self._scale = scale
        n = len(order)
        both = np.concatenate([self.steps, self.changes])
        ordered = products[both[:, None], both]
        self._step_step, self._step_change = ordered[:n, :n], ordered[:n, n:]
        self._change_change = ordered[n:, n:].copy()
        self._curved = self._step_change.diagonal().copy()
        self._products = products[self.rows[:, None], self.rows]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def independent(self) -> bool:
        """Whether no s is a combination of others, to rounding."""
        return self._factor[1] == 0

    def newton(self, products: FloatArray) -> FloatArray:
        """Return the weights of all s and y in H v, from the products of v with all vectors."""
        weights = np.zeros(len(products))
        if len(self):
            inner = self._inner(products)
            middle = self._middle @ inner - self._scale * products[self.changes]
            weights[self.steps] = _solve(self._upper, middle, transposed=True)
            weights[self.changes] = -self._scale * inner
        return weights

    def decrease(self, products: FloatArray, square: float) -> float:
        """Return g·H g / 2 for an H that begins with `far_scale`; see `CurvaturePairs.decrease`."""
        inner = self._inner(products)
        image = self._change_change @ inner
        left = square + float(inner @ image - 2.0 * (inner @ products[self.changes]))
        return 0.5 * (float(inner @ (self._curved * inner)) + self._far * max(left, 0.0))

    def learnt_along(self, products: FloatArray) -> float:
        """Return v·B v - v·v / gamma."""
        of_changes = products[self.changes] / self._curved
        inner = products[self.steps] / self._scale + self._lower @ of_changes
        across = _solve(self._factor[0], inner, lower=True)
        return float(products[self.changes] @ of_changes) - float(across @ across)

    def multiply(self, weights: FloatArray) -> FloatArray:
        """Return the products of a combination of vectors with the `rows`."""
        found: FloatArray = self._products @ weights[self.rows]
        return found

    def _inner(self, products: FloatArray) -> FloatArray:
        return _solve(self._upper, products[self.steps])

    @cached_property
    def _upper(self) -> FloatArray:
        upper: FloatArray = self._step_change * ~_below(len(self))
        return np.asfortranarray(upper)

    @cached_property
    def _lower(self) -> FloatArray:
        lower: FloatArray = self._step_change * _below(len(self))
        return lower

    @cached_property
    def _middle(self) -> FloatArray:
        middle: FloatArray = self._scale * self._change_change
        middle.reshape(-1)[:: len(self) + 1] += self._curved
        return middle

    @cached_property
    def _far(self) -> float:
        return far_scale((self._step_step.diagonal() / self._curved).tolist())

    @cached_property
    def _factor(self) -> tuple[FloatArray, int]:
        """The Cholesky factor of S'S / gamma + L C^-1 L', and LAPACK's word on it; 0: it is one."""
        lower = self._lower
        # Not by BLAS: what this small needs nothing that a step has not just used.
        whole = self._step_step / self._scale + np.vecdot((lower / self._curved)[:, None], lower)
        factor: FloatArray
        factor, info = _lapack().dpotrf(whole, lower=1)
        return factor, info


@cache
def _below(n: int) -> npt.NDArray[np.bool_]:
    """Return what of a matrix of n rows is below the diagonal."""
    return np.tri(n, k=-1, dtype=np.bool_)


@cache
def _lapack() -> Any:
    """Return what is not loaded by runs with other methods: it takes 9 MB."""
    from scipy.linalg import lapack

    return lapack


def _solve(
    triangular: FloatArray, right: FloatArray, *, lower: bool = False, transposed: bool = False
) -> FloatArray:
    """Solve T x = right, or T' x = right, without what scipy takes to look at them."""
    found, _ = _lapack().dtrtrs(triangular, right, lower=lower, trans=transposed)
    return np.asarray(found)
