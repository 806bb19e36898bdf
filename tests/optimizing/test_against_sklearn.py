"""On real data the methods converge to the model that scikit-learn finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge

from erasurehead.datasets.prepare import PreparedStore
from erasurehead.datasets.tasks import task_ranges
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.models.base import Model
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.models.partial_sums import CodedGradient
from erasurehead.models.rows import LocalRows, LocalRowsBuilder
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.making import make_method
from erasurehead.optimizing.penalty import L2
from erasurehead.rows import CsrRows
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse

RELATIVE = 1e-6


@dataclass(frozen=True)
class RealProblem:
    """Minimise the mean loss of `rows` plus (l2/2) ||theta||^2."""

    rows: CsrRows
    model: Model
    l2: float

    @property
    def matrix(self) -> csr_matrix:
        indices = np.asarray(self.rows.indices)
        indptr = np.asarray(self.rows.indptr, dtype=np.int32)
        shape = (len(self.rows.labels), self.rows.n_columns)
        return csr_matrix((np.ones(len(indices)), indices, indptr), shape=shape)

    def value(self, theta: np.ndarray) -> float:
        """Return the objective, from formulas of this test's own."""
        margins, labels = self.matrix @ theta, self.rows.labels
        if self.model.name == "logistic":
            losses = np.logaddexp(0.0, -labels * margins)
        else:
            losses = 0.5 * (margins - labels) ** 2
        return float(losses.mean() + 0.5 * self.l2 * theta @ theta)


def on_touched_columns(rows: CsrRows) -> CsrRows:
    """Leave out the columns that no row touches."""
    touched, indices = np.unique(rows.indices, return_inverse=True)
    return CsrRows(rows.indptr, indices.astype(np.int32), rows.values, rows.labels, len(touched))


@pytest.fixture(scope="module")
def covertype(prepared: Callable[[str], PreparedStore]) -> RealProblem:
    """6,000 of the real training rows, on the columns they touch."""
    rows = on_touched_columns(prepared("covertype").store.train.rows(0, 6_000))
    assert set(np.unique(rows.labels)) == {-1.0, 1.0}
    return RealProblem(rows, Logistic(rows.n_columns), l2=1e-2)


@pytest.fixture(scope="module")
def kc_housing(prepared: Callable[[str], PreparedStore]) -> RealProblem:
    """All real training rows."""
    rows = prepared("kc-housing").store.train
    return RealProblem(rows, LeastSquares(rows.n_columns), l2=1e-2)


def sklearn_logistic(problem: RealProblem) -> np.ndarray:
    """scikit-learn minimises C sum(loss) + ||w||^2 / 2; the data have a constant column."""
    penalty = 1.0 / (problem.l2 * len(problem.rows.labels))
    model = LogisticRegression(
        C=penalty, fit_intercept=False, solver="newton-cg", tol=1e-9, max_iter=1000
    )
    found: np.ndarray = model.fit(problem.matrix, problem.rows.labels).coef_[0]
    return found


def sklearn_ridge(problem: RealProblem) -> np.ndarray:
    """scikit-learn minimises ||y - X w||^2 + alpha ||w||^2."""
    alpha = problem.l2 * len(problem.rows.labels)
    model = Ridge(alpha=alpha, fit_intercept=False, solver="sparse_cg", tol=1e-10)
    found: np.ndarray = model.fit(problem.matrix, problem.rows.labels).coef_
    return found


def minimise(problem: RealProblem, scheme: str, n_workers: int, rounds: int) -> np.ndarray:
    """Run Nesterov with the scheme's own workers, decoder and estimate, in one process.

    Workers answer in an order drawn for each round; who is not needed is never asked.
    """
    rng = np.random.default_rng(5)
    coding = Coding.of(parse(scheme), n_workers, seed=5)
    decoder = coding.begin().decoder
    n_rows, n_columns = len(problem.rows.labels), problem.rows.n_columns
    ranges = task_ranges(n_rows, coding.code.n_tasks)
    held = [local_rows(problem.rows, coding.code, slot, ranges) for slot in range(n_workers)]
    estimate = coding.estimate(n_columns)
    method, size = make_method("nesterov", "auto", described(problem))
    for round_ in range(1, rounds + 1):
        decoder.begin()
        estimate.begin()
        for slot in rng.permutation(n_workers).tolist():
            weight = decoder.arrive(slot)
            values, loss = coded_gradient(held[slot], problem.model, method.query)
            estimate.take(CodedVector(slot, held[slot].support, values, loss), weight)
            if decoder.exact:
                break
        total, loss = estimate.finish(decoder.finish())
        method.step(Finding(round_, loss / n_rows, total / n_rows, 0.0), size)
        estimate.absorb()
    return method.model


def local_rows(rows: CsrRows, code: Any, slot: int, ranges: list[tuple[int, int]]) -> LocalRows:
    builder = LocalRowsBuilder(rows.n_columns)
    tasks, coefficients = code.row(slot)
    for task, coefficient in zip(tasks.tolist(), coefficients.tolist(), strict=True):
        builder.add(rows.rows(*ranges[task]), np.full((1, 1), coefficient))
    return builder.finish()


def coded_gradient(rows: LocalRows, model: Model, query: np.ndarray) -> tuple[np.ndarray, float]:
    theta = query if rows.support is None else query[rows.support]
    computation = CodedGradient(rows, model, theta)
    while not computation.advance():
        pass
    return computation.values[0], float(computation.loss[0])


def described(problem: RealProblem) -> Problem:
    curvature = RowsCurvature(problem.model, problem.rows)
    return Problem(np.zeros(problem.rows.n_columns), L2(problem.l2), curvature)


@pytest.mark.parametrize(("scheme", "n_workers"), [("uncoded", 4), ("egc:c=2", 6)])
@pytest.mark.parametrize(
    ("name", "solve", "rounds"),
    [("covertype", sklearn_logistic, 1500), ("kc_housing", sklearn_ridge, 1500)],
)
def test_the_converged_model_is_that_of_scikit_learn(
    name: str,
    solve: Callable[[RealProblem], np.ndarray],
    rounds: int,
    scheme: str,
    n_workers: int,
    request: pytest.FixtureRequest,
) -> None:
    problem: RealProblem = request.getfixturevalue(name)
    ours = minimise(problem, scheme, n_workers, rounds)
    theirs = solve(problem)
    best = problem.value(theirs)
    assert problem.value(ours) == pytest.approx(best, rel=RELATIVE)
    # Not at the start: a model of zeros is far from the minimum.
    assert best < 0.9 * problem.value(np.zeros_like(ours))
