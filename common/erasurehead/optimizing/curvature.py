"""Second derivatives of a mean loss on given rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.rows import pieces
from erasurehead.models.weighing import total_weight, weights_of
from erasurehead.rows import CsrRows

SAMPLE_NONZEROS = 1 << 22
"""Non-zeros looked at for the largest curvature, which takes many passes. Prepared rows are in
random order, so the first rows are a fair sample, and the estimate errs on the side of a smaller
step."""

CHUNK_ROWS = 1 << 14

TOLERANCE = 1e-3
"""Of an eigenvalue: the share of it that the residual may be when power iteration stops."""


class Curvature(Protocol):
    """The Hessian of the mean loss, or what bounds it everywhere. Each call may read the rows."""

    @property
    def measured(self) -> bool:
        """Whether `by_parameter` tells how much parameters differ, bound or no bound."""

    @property
    def bounded(self) -> bool:
        """Whether there is such an H."""

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        """Return the largest eigenvalue of D^-1/2 (H + diag(besides)) D^-1/2, hardly too small.

        `metric` is the diagonal of D, above 0; None: all ones. `besides` is what a penalty adds;
        None: nothing. Both have the shape (n_parameters,).
        """

    def by_parameter(self) -> FloatArray:
        """Return the diagonal of H, shape (n_parameters,), or what stands for it if `measured`."""


class RowsCurvature:
    """H as the model's own bound gives it on some rows.

    Parameters
    ----------
    model: gives C (`Model.curvature_times`), of which H is the mean over the rows, which count as
        they do in the objective.
    rows: on all columns.
    seed: of the vector with which the search for the largest eigenvalue starts.
    sample_nonzeros: about how many entries of the rows that search looks at.
    column_squares: of the rows (`CsrRows.column_squares`), where they are known already.
    """

    def __init__(
        self,
        model: Model,
        rows: CsrRows,
        seed: int = 0,
        sample_nonzeros: int = SAMPLE_NONZEROS,
        column_squares: FloatArray | None = None,
    ) -> None:
        self._model = model
        self._rows = rows
        self._seed = seed
        self._column_squares = column_squares
        n_rows = len(rows.labels)
        per_row = max(1, int(rows.indptr[-1]) // max(n_rows, 1))
        self._sample = rows.rows(0, min(n_rows, max(1, sample_nonzeros // per_row)))

    @property
    def bounded(self) -> bool:
        """Whether the model has such a bound."""
        return self._model.bounded

    @property
    def measured(self) -> bool:
        """Whether the model tells how much parameters differ."""
        return self._model.measured

    @property
    def spread(self) -> float:
        """Root mean square of the largest column over that of the smallest that is not empty; NaN
        where only a pass over the rows could tell."""
        squares = self._column_squares
        if squares is None or not squares.any():
            return math.nan
        return math.sqrt(float(squares.max()) / float(squares[squares > 0].min()))

    def largest(self, metric: FloatArray | None = None, besides: FloatArray | None = None) -> float:
        """Return the largest eigenvalue of D^-1/2 (H + diag(besides)) D^-1/2 on the sample.

        Parameters
        ----------
        metric: the diagonal of D, shape (n_parameters,), above 0; None: ones.
        besides: shape (n_parameters,); None: zeros.

        Raises
        ------
        UsageError: the model's curvature has no bound.
        """
        if not self._model.bounded:
            raise UsageError(
                f"the curvature of {self._model.spec} has no bound, so --step auto has nothing to"
                " go by; give a step size"
            )
        scale = None if metric is None else 1.0 / np.sqrt(metric)
        weights = weights_of(self._model, self._sample)
        total_of_rows = total_weight(self._model, self._sample) or 1.0

        def image(vector: FloatArray) -> FloatArray:
            scaled = vector if scale is None else scale * vector
            total = np.zeros(self._model.n_parameters)
            done = 0
            for piece in pieces(self._sample, CHUNK_ROWS):
                here = slice(done, done + len(piece.labels))
                own = None if weights is None else weights[here]
                total += self._model.curvature_times(piece, scaled, own)
                done = here.stop
            total /= total_of_rows
            if besides is not None:
                total += besides * scaled
            if scale is not None:
                total *= scale
            return total

        return largest_eigenvalue(image, self._model.n_parameters, seed=self._seed, iterations=30)

    def by_parameter(self) -> FloatArray:
        """Return the diagonal of H on all rows, shape (n_parameters,).

        Raises
        ------
        UsageError: the model has nothing to tell of it.
        """
        if not self._model.measured:
            raise UsageError(
                f"the curvature of {self._model.spec} has no bound, and the optimizer needs one for"
                " each parameter; give another --optimizer"
            )
        weights = weights_of(self._model, self._rows)
        if weights is not None:
            squares = self._rows.column_squares(weights)
        else:
            if self._column_squares is None:
                self._column_squares = self._rows.column_squares()
            squares = self._column_squares
        total = total_weight(self._model, self._rows)
        return self._model.curvature_diagonal(squares, total) / (total or 1.0)


def largest_eigenvalue(
    times: Callable[[FloatArray], FloatArray],
    n: int,
    *,
    seed: int = 0,
    iterations: int = 100,
) -> float:
    """Estimate the largest eigenvalue of a positive semidefinite matrix by power iteration.

    Lanczos would need fewer passes but some twenty vectors of model size; this needs three.

    Parameters
    ----------
    times: returns the product of the matrix with a vector, as an array of its own.
    n: rows of the matrix.
    seed: of the start vector.
    iterations: products at most; fewer if the residual ||A v - lambda v|| is at most `TOLERANCE`
        of lambda, and has not grown. Of very many eigenvalues that are nearly equal, and one that
        is larger, the first vectors see the many; but then the residual grows.

    Returns
    -------
    The Rayleigh quotient plus the residual. The quotient alone never exceeds the eigenvalue;
    with the residual added the estimate errs on the side of a smaller step.
    """
    vector = np.random.default_rng((0xE16E, seed)).standard_normal(n)
    length = math.sqrt(vector @ vector)
    estimate, before = 0.0, -1.0
    for _ in range(iterations):
        if length == 0.0:
            return 0.0
        vector /= length
        image = times(vector)
        quotient = float(vector @ image)
        length = math.sqrt(image @ image)
        # ||A v - q v||^2 = ||A v||^2 - q^2 for a unit vector v and q = v·A v.
        residual = math.sqrt(max(length * length - quotient * quotient, 0.0))
        estimate = quotient + residual
        if residual <= min(TOLERANCE * quotient, before):
            break
        vector, before = image, residual
    return estimate
