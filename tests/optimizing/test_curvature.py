"""Curvatures against dense computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.linear import LinearModel
from erasurehead.models.logistic import Logistic
from erasurehead.models.metrics import MSE
from erasurehead.models.softmax import Softmax as OurSoftmax
from erasurehead.optimizing import curvature
from erasurehead.optimizing.curvature import RowsCurvature, largest_eigenvalue
from erasurehead.rows import CsrRows
from tests.support.toy_models import Network, Softmax


def some_rows(seed: int) -> csr_array:
    rng = np.random.default_rng(seed)
    return csr_array(random_array((80, 40), density=0.2, rng=rng))


def as_rows(X: csr_array) -> CsrRows:
    return CsrRows(X.indptr, X.indices, X.data, np.zeros(X.shape[0]), X.shape[1])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "CHUNK_ROWS", 13)


@pytest.mark.parametrize("seed", range(5))
def test_estimate_is_near_and_rarely_below(seed: int) -> None:
    """Positive rows, as one-hot data are, have one dominant direction."""
    X = some_rows(seed)
    exact = np.linalg.eigvalsh((X.T @ X).toarray() / 80)[-1]
    found = largest_eigenvalue(lambda v: X.T @ (X @ v) / 80, 40, seed=seed)
    assert exact * (1 - 1e-9) <= found <= exact * 1.002


def test_a_run_cut_short_still_errs_upwards() -> None:
    """Two equal-sized directions: few iterations do not separate them, the residual covers it."""
    A = np.diag([1.0, 0.99**2]) / 2
    found = largest_eigenvalue(lambda v: A @ v, 2, iterations=3)
    assert 0.5 <= found <= 0.5 * 1.05


@pytest.mark.parametrize("seed", range(4))
def test_a_large_eigenvalue_among_very_many_is_seen(seed: int) -> None:
    """A penalty curves millions of parameters alike, and the rows a few of them three times as
    much: a random vector has next to nothing of these."""

    def times(vector: FloatArray) -> FloatArray:
        image = vector.copy()
        image[0] *= 3.0
        return image

    assert largest_eigenvalue(times, 2_000_000, seed=seed, iterations=30) >= 3.0


def test_rows_of_zeros_have_no_curvature() -> None:
    assert largest_eigenvalue(np.zeros_like, 2) == 0.0
    for n_rows in (0, 3):
        nothing = RowsCurvature(LeastSquares(2), as_rows(csr_array((n_rows, 2))))
        assert nothing.largest() == 0.0
        assert nothing.by_parameter().tolist() == [0.0, 0.0]


def test_the_largest_curvature_is_that_of_a_sample_in_a_metric() -> None:
    """16 entries a row: a sample of 800 entries is the first 50 rows."""
    X = csr_array(np.random.default_rng(7).uniform(0.0, 1.0, (80, 16)))
    found = RowsCurvature(Logistic(16), as_rows(X), sample_nonzeros=800)
    hessian = 0.25 * (X[:50].T @ X[:50]).toarray() / 50
    assert found.largest() == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=2e-3)
    metric = np.random.default_rng(0).uniform(0.1, 10.0, 16)
    scaled = hessian / np.sqrt(np.outer(metric, metric))
    assert found.largest(metric) == pytest.approx(np.linalg.eigvalsh(scaled)[-1], rel=2e-3)
    besides = np.random.default_rng(1).uniform(0.0, 1.0, 16)
    whole = (hessian + np.diag(besides)) / np.sqrt(np.outer(metric, metric))
    largest = np.linalg.eigvalsh(whole)[-1]
    assert found.largest(metric, besides) == pytest.approx(largest, rel=2e-3)


def test_the_curvature_by_parameter_is_that_of_all_rows() -> None:
    X = some_rows(8)
    found = RowsCurvature(Logistic(40), as_rows(X), sample_nonzeros=1).by_parameter()
    np.testing.assert_allclose(found, 0.25 * np.diag((X.T @ X).toarray()) / 80, rtol=1e-12)


def test_what_the_store_says_of_the_columns_is_not_computed_again() -> None:
    X = some_rows(8)
    known = 2.0 * as_rows(X).column_squares()
    found = RowsCurvature(Logistic(40), as_rows(X), column_squares=known).by_parameter()
    np.testing.assert_allclose(found, 0.25 * known / 80, rtol=1e-12)


class Quartic(LinearModel):
    """A model whose loss curves the more, the further its margin is from the label."""

    name = "quartic"
    target = "numbers"
    metrics = (MSE,)

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        residual = margins - labels
        return residual**4 / 4.0, residual**3


def test_what_is_not_known_of_a_model_is_one_sentence() -> None:
    unknown = RowsCurvature(Quartic(40), as_rows(some_rows(9)))
    with pytest.raises(UsageError, match="curvature of quartic has no bound, so --step auto"):
        unknown.largest()
    assert not unknown.bounded
    nothing = RowsCurvature(Network(40), as_rows(some_rows(9)))
    with pytest.raises(UsageError, match="has no bound, and the optimizer needs one for each"):
        nothing.by_parameter()
    assert not nothing.measured


def test_a_linear_model_without_a_bound_tells_how_parameters_differ() -> None:
    X = some_rows(9)
    unknown = RowsCurvature(Quartic(40, intercept=True), as_rows(X))
    assert unknown.measured
    squares = np.append((X.toarray() ** 2).mean(axis=0), 1.0)
    np.testing.assert_allclose(unknown.by_parameter(), squares, rtol=1e-12)


@pytest.mark.parametrize(
    "model", [Logistic(40, intercept=True), OurSoftmax(40, classes=3, intercept=True)]
)
def test_weights_are_as_rows_that_come_several_times(model: Model) -> None:
    """A row of weight 3 curves as three of them; one of weight 0 as none."""
    X = some_rows(11)
    counts = np.random.default_rng(4).integers(0, 4, X.shape[0])
    weighed = RowsCurvature(model, replace(as_rows(X), weights=counts.astype(float)))
    repeated = RowsCurvature(model, as_rows(X[np.repeat(np.arange(len(counts)), counts)]))
    np.testing.assert_allclose(weighed.by_parameter(), repeated.by_parameter(), rtol=1e-12)
    assert weighed.largest() == pytest.approx(repeated.largest(), rel=1e-9)


def test_a_model_with_other_parameters_than_one_a_column_says_how_it_curves() -> None:
    """A softmax with intercepts: half of X^T X for each class, with a column of ones in X."""
    X = some_rows(10)
    whole = np.column_stack([X.toarray(), np.ones(80)])
    found = RowsCurvature(Softmax(40, classes=3), as_rows(X))
    one_class = 0.5 * whole.T @ whole / 80
    assert found.largest() == pytest.approx(np.linalg.eigvalsh(one_class)[-1], rel=2e-3)
    diagonal = np.diag(one_class)
    expected = np.concatenate([np.tile(diagonal[:-1], 3), np.repeat(diagonal[-1], 3)])
    np.testing.assert_allclose(found.by_parameter(), expected, rtol=1e-12)
    metric = np.random.default_rng(0).uniform(0.1, 10.0, 3 * 41)
    by_class = [np.append(metric[40 * k : 40 * k + 40], metric[120 + k]) for k in range(3)]
    scaled = [np.linalg.eigvalsh(one_class / np.sqrt(np.outer(d, d)))[-1] for d in by_class]
    assert found.largest(metric) == pytest.approx(max(scaled), rel=2e-3)
