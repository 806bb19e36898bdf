"""The largest curvature of an objective on given rows, and the step size that it allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy.sparse import csr_array


def largest_eigenvalue(
    chunks: Callable[[], Iterable[csr_array]],
    n_columns: int,
    *,
    seed: int = 0,
    iterations: int = 100,
    tolerance: float = 1e-3,
) -> float:
    """Estimate the largest eigenvalue of X^T X / N by power iteration.

    Lanczos would need fewer passes but some twenty vectors of model size; this needs three.

    Parameters
    ----------
    chunks: called once an iteration; gives the rows of X in pieces of shape (rows, n_columns).
    seed: of the start vector.
    iterations: passes over X at most.
    tolerance: stop once the residual ||A v - lambda v|| is at most this share of lambda.

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
        image = np.zeros(n_columns)
        n_rows = 0
        for rows in chunks():
            image += rows.T @ (rows @ vector)
            n_rows += rows.shape[0]
        image /= max(n_rows, 1)
        quotient = float(vector @ image)
        length = math.sqrt(image @ image)
        # ||A v - q v||^2 = ||A v||^2 - q^2 for a unit vector v and q = v·A v.
        residual = math.sqrt(max(length * length - quotient * quotient, 0.0))
        estimate = quotient + residual
        if residual <= tolerance * quotient:
            break
        vector = image
    return estimate


def automatic_step(curvature: float, l2: float) -> float:
    """Return 1 / (the largest curvature of mean loss and penalty), or 1 if they have none.

    Gradient descent with this step never increases a convex objective.
    """
    return 1.0 / (curvature + l2) if curvature + l2 > 0 else 1.0
