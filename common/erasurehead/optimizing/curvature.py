"""Second derivatives of a mean loss on given rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.rows import pieces
from erasurehead.rows import CsrRows

SAMPLE_NONZEROS = 1 << 22
"""Non-zeros looked at for the largest curvature, which takes many passes. Prepared rows are in
random order, so the first rows are a fair sample, and the estimate errs on the side of a smaller
step."""

CHUNK_ROWS = 1 << 14


class Curvature(Protocol):
    """The Hessian of the mean loss, or what bounds it everywhere. Each call may read the rows."""

    def largest(self, metric: FloatArray | None = None) -> float:
        """Return the largest eigenvalue of D^-1/2 H D^-1/2, not much too small.

        `metric` is the diagonal of D, shape (n_parameters,) and above 0; None: all ones.
        """

    def by_parameter(self) -> FloatArray:
        """Return the diagonal of H, shape (n_parameters,)."""


class RowsCurvature:
    """H = c X^T X / N for each output of a model: the bound for losses of linear outputs.

    Parameters
    ----------
    model: with c, the largest second derivative of a row's loss in its outputs.
    rows: X.
    seed: of the vector with which the search for the largest eigenvalue starts.
    sample_nonzeros: about how many entries of X that search looks at.
    """

    def __init__(
        self, model: Model, rows: CsrRows, seed: int = 0, sample_nonzeros: int = SAMPLE_NONZEROS
    ) -> None:
        self._model = model
        self._rows = rows
        self._seed = seed
        n_rows = len(rows.labels)
        per_row = max(1, int(rows.indptr[-1]) // max(n_rows, 1))
        self._sample = rows.rows(0, min(n_rows, max(1, sample_nonzeros // per_row)))

    def largest(self, metric: FloatArray | None = None) -> float:
        """Return c times the largest eigenvalue of D^-1/2 X^T X D^-1/2 / N on the sample.

        Raises
        ------
        UsageError: the model has no such c, or a metric is given and its parameters are not one
            for each column.
        """
        of_loss = self._model.curvature
        if of_loss is None:
            raise UsageError(
                f"the curvature of {self._model.spec} has no bound, so --step auto has nothing to"
                " go by; give a step size"
            )
        if metric is not None:
            self._check_columns()
        return of_loss * largest_eigenvalue(
            lambda: _matrices(self._sample),
            self._rows.n_columns,
            seed=self._seed,
            iterations=30,
            scale=None if metric is None else 1.0 / np.sqrt(metric),
        )

    def by_parameter(self) -> FloatArray:
        """Return c times each column's mean square on all rows.

        Raises
        ------
        UsageError: the model has no such c, or its parameters are not one for each column.
        """
        self._check_columns()
        squares = np.zeros(self._rows.n_columns)
        for matrix in _matrices(self._rows):
            squares += matrix.power(2).sum(axis=0)
        assert self._model.curvature is not None
        squares *= self._model.curvature / max(len(self._rows.labels), 1)
        return squares

    def _check_columns(self) -> None:
        one_each = self._model.n_parameters == self._model.n_columns
        if self._model.curvature is None or not one_each:
            raise UsageError(
                f"the curvature of {self._model.spec} is not known by parameter, and the optimizer"
                " needs it; give another --optimizer"
            )


def _matrices(rows: CsrRows) -> Iterator[csr_array]:
    return (piece.matrix for piece in pieces(rows, CHUNK_ROWS))


def largest_eigenvalue(
    chunks: Callable[[], Iterable[csr_array]],
    n_columns: int,
    *,
    seed: int = 0,
    iterations: int = 100,
    tolerance: float = 1e-3,
    scale: FloatArray | None = None,
) -> float:
    """Estimate the largest eigenvalue of X^T X / N by power iteration.

    Lanczos would need fewer passes but some twenty vectors of model size; this needs three.

    Parameters
    ----------
    chunks: called once an iteration; gives the rows of X in pieces of shape (rows, n_columns).
    seed: of the start vector.
    iterations: passes over X at most.
    tolerance: stop once the residual ||A v - lambda v|| is at most this share of lambda.
    scale: what columns are multiplied with, shape (n_columns,); None: all ones.

    Returns
    -------
    The Rayleigh quotient plus the residual. The quotient alone never exceeds the eigenvalue;
    with the residual added the estimate errs on the side of a smaller step.
    """
    vector = np.random.default_rng((0xE16E, seed)).standard_normal(n_columns)
    length = math.sqrt(vector @ vector)
    estimate = 0.0
    for _ in range(iterations):
        if length == 0.0:
            return 0.0
        vector /= length
        scaled = vector if scale is None else scale * vector
        image = np.zeros(n_columns)
        n_rows = 0
        for rows in chunks():
            image += rows.T @ (rows @ scaled)
            n_rows += rows.shape[0]
        image /= max(n_rows, 1)
        if scale is not None:
            image *= scale
        quotient = float(vector @ image)
        length = math.sqrt(image @ image)
        # ||A v - q v||^2 = ||A v||^2 - q^2 for a unit vector v and q = v·A v.
        residual = math.sqrt(max(length * length - quotient * quotient, 0.0))
        estimate = quotient + residual
        if residual <= tolerance * quotient:
            break
        vector = image
    return estimate
