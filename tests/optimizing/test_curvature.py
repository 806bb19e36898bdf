"""The automatic step against a dense eigenvalue computation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from erasurehead.optimizing.curvature import automatic_step, largest_eigenvalue


@pytest.mark.parametrize("seed", range(5))
def test_estimate_is_near_and_rarely_below(seed: int) -> None:
    """Positive rows, as one-hot data are, have one dominant direction."""
    rng = np.random.default_rng(seed)
    X = csr_array(random_array((80, 40), density=0.2, rng=rng))
    exact = np.linalg.eigvalsh((X.T @ X).toarray() / 80)[-1]
    found = largest_eigenvalue(lambda: (X[i : i + 13] for i in range(0, 80, 13)), 40, seed=seed)
    assert exact * (1 - 1e-9) <= found <= exact * 1.002


def test_a_run_cut_short_still_errs_upwards() -> None:
    """Two equal-sized directions: few iterations do not separate them, the residual covers it."""
    X = csr_array(np.diag([1.0, 0.99]))
    found = largest_eigenvalue(lambda: [X], 2, iterations=3)
    assert 0.5 <= found <= 0.5 * 1.05


def test_rows_of_zeros_have_no_curvature() -> None:
    assert largest_eigenvalue(lambda: [csr_array((3, 2))], 2) == 0.0
    assert largest_eigenvalue(lambda: [], 2) == 0.0
    assert automatic_step(0.0, 0.0) == 1.0


def test_step_is_one_over_the_largest_curvature() -> None:
    assert automatic_step(3.0, 1.0) == 0.25
    assert automatic_step(2.0, 0.0) == 0.5
