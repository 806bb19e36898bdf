"""Every model's optimum is scikit-learn's at the same penalty, to 1e-6 of the objective.

With weights and without, with an intercept and without, by the methods that `auto` takes for exact
rounds; some once more in a run on virtual workers that does not wait for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.optimize import minimize
from scipy.sparse import random_array
from scipy.special import huber
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.svm import LinearSVC

from erasurehead.arrays import FloatArray
from erasurehead.models import MODELS, specified
from erasurehead.models.base import Model
from erasurehead.models.rows import pieces
from erasurehead.models.scoring import mean_loss
from erasurehead.models.weighing import total_weight, weights_of
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.choosing import choose
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.elastic_net import make_penalty
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.making import make_method
from erasurehead.optimizing.penalty import Penalty
from erasurehead.rows import CsrRows
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.virtual_run import make_master

RELATIVE = 1e-6
ROWS, COLUMNS = 150, 8
L1, L2 = 0.05, 0.05


@dataclass(frozen=True)
class Case:
    """What a model learns, and who else learns it.

    `solve` takes (X, y, weights or None, W, whether there is an intercept, l1, l2) and returns the
    parameters as ours are laid out.
    """

    model: str
    labels: str
    solve: Callable[..., FloatArray]
    l1: float = 0.0
    l2: float = L2


def joined(fitted: Any, intercept: bool) -> FloatArray:
    """Return coefficients and intercepts column by column."""
    coef = np.atleast_2d(fitted.coef_).T
    rows = [coef.ravel()]
    if intercept:
        rows.append(np.ravel(fitted.intercept_))
    return np.concatenate(rows)


def logistic(
    X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float
) -> FloatArray:
    strength = l1 + l2
    options: dict[str, Any] = {"solver": "newton-cholesky"}
    if l1:
        options = {"solver": "saga", "l1_ratio": l1 / strength, "random_state": 0}
        if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8):
            options["penalty"] = "elasticnet"
    model = LogisticRegression(
        C=1 / (strength * total), fit_intercept=intercept, tol=1e-9, max_iter=20_000, **options
    )
    return joined(model.fit(X, y, w), intercept)


def ridge(
    X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float
) -> FloatArray:
    return joined(Ridge(l2 * total, fit_intercept=intercept, tol=1e-12).fit(X, y, w), intercept)


def elastic_net(
    X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float
) -> FloatArray:
    model = ElasticNet(l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=intercept, tol=1e-12)
    return joined(model.fit(X, y, w), intercept)


def lasso(
    X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float
) -> FloatArray:
    return joined(Lasso(l1, fit_intercept=intercept, tol=1e-12).fit(X, y, w), intercept)


def generalised(make: Callable[..., Any]) -> Callable[..., FloatArray]:
    def solve(
        X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float
    ) -> FloatArray:
        model = make(alpha=l2, fit_intercept=intercept, solver="newton-cholesky", tol=1e-9)
        return joined(model.fit(X, y, w), intercept)

    return solve


def tweedie(**options: Any) -> Any:
    return TweedieRegressor(power=1.5, link="log", **options)


def svm(X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float) -> FloatArray:
    """liblinear penalises its intercept, so little here that it does not count."""
    model = LinearSVC(
        C=1 / (l2 * total),
        loss="squared_hinge",
        dual=False,
        fit_intercept=intercept,
        intercept_scaling=1e3,
        tol=1e-10,
        max_iter=100_000,
    )
    return joined(model.fit(X, y, w), intercept)


def by_scipy(
    X: Any, y: Any, w: Any, total: float, intercept: bool, l1: float, l2: float
) -> FloatArray:
    """Huber's loss with a given delta, which no estimator of scikit-learn has."""
    weights, delta = np.ones(len(y)) if w is None else w, 0.75

    def value(theta: FloatArray) -> float:
        margins = X @ theta[:COLUMNS] + (theta[COLUMNS] if intercept else 0.0)
        of_loss = float(weights @ huber(delta, margins - y)) / total
        return of_loss + 0.5 * l2 * float(theta[:COLUMNS] @ theta[:COLUMNS])

    found = minimize(value, np.zeros(COLUMNS + intercept), method="BFGS", options={"gtol": 1e-8})
    return np.asarray(found.x)


CASES = {
    "logistic": Case("logistic", "two", logistic),
    "softmax": Case("softmax", "classes", logistic),
    "ridge": Case("least-squares", "numbers", ridge),
    "poisson": Case("poisson", "counts", generalised(PoissonRegressor)),
    "gamma": Case("gamma", "sizes", generalised(GammaRegressor)),
    "tweedie": Case("tweedie:power=1.5", "counts", generalised(tweedie)),
    "huber": Case("huber:delta=0.75", "numbers", by_scipy),
    "squared-hinge": Case("squared-hinge", "two", svm),
    "elastic-net": Case("least-squares", "numbers", elastic_net, l1=L1),
    "lasso": Case("least-squares", "numbers", lasso, l1=L1, l2=0.0),
    "logistic-l1": Case("logistic", "two", logistic, l1=L1, l2=0.0),
    "softmax-elastic": Case("softmax", "classes", logistic, l1=L1),
}


def some_rows(labels: str) -> CsrRows:
    """Columns of sizes that differ tenfold, and labels from planted margins."""
    rng = np.random.default_rng(0)
    X = random_array((ROWS, COLUMNS), density=0.5, format="csr", rng=rng)
    X.data = rng.standard_normal(len(X.data))
    X = X.multiply(np.geomspace(0.3, 3.0, COLUMNS)).tocsr()
    margins = X @ np.array([1.0, -1.0, 0.5, 0.0, 0.0, 0.3, -0.2, 0.1]) + 0.4
    made: dict[str, Callable[[], FloatArray]] = {
        "two": lambda: np.where(margins + rng.logistic(size=ROWS) > 0, 1.0, -1.0),
        "classes": lambda: np.digitize(margins + rng.logistic(size=ROWS), [-0.5, 1.0]) * 1.0,
        "numbers": lambda: margins + rng.standard_t(2, size=ROWS),
        "counts": lambda: rng.poisson(np.exp(margins)) * 1.0,
        "sizes": lambda: rng.gamma(2.0, np.exp(margins) / 2.0) + 1e-3,
    }
    return CsrRows(X.indptr, X.indices, X.data, made[labels](), COLUMNS)


def weighed(rows: CsrRows) -> CsrRows:
    return replace(rows, weights=np.random.default_rng(1).choice([0.0, 0.5, 1.0, 3.0], ROWS))


def objective(rows: CsrRows, model: Model, penalty: Penalty, theta: FloatArray) -> float:
    return mean_loss(rows, model, theta) + penalty.value(theta)


def minimised(rows: CsrRows, model: Model, penalty: Penalty, rounds: int) -> FloatArray:
    """Return what the method for exact rounds comes to."""
    curvature = RowsCurvature(model, rows)
    kind = RoundKind(exact=True)
    chosen = choose("auto", "auto", kind, bounded=curvature.bounded, smooth=penalty.smooth)
    problem = Problem(np.zeros(model.n_parameters), penalty, curvature, kind)
    method, size = make_method(chosen.optimizer, "auto", problem)
    (whole,) = pieces(rows, ROWS)
    weights, total = weights_of(model, rows), total_weight(model, rows)
    for round_ in range(1, rounds + 1):
        ((loss, gradient),) = model.sums(whole, method.query, [weights])
        loss = loss / total + penalty.value(method.query)
        method.step(Finding(round_, loss, gradient / total, 0.0), size)
    return method.model


@pytest.mark.parametrize("intercept", [False, True], ids=["plain", "intercept"])
@pytest.mark.parametrize("weigh", [False, True], ids=["alike", "weighed"])
@pytest.mark.parametrize("name", list(CASES))
def test_the_optimum_is_that_of_scikit_learn(name: str, weigh: bool, intercept: bool) -> None:
    case = CASES[name]
    rows = some_rows(case.labels)
    rows = weighed(rows) if weigh else rows
    model = MODELS.build(specified(case.model, intercept), COLUMNS, rows.labels)
    penalty = make_penalty(case.l1, case.l2, model.unpenalised)
    total = total_weight(model, rows)
    given = (rows.matrix(), rows.labels, rows.weights)
    theirs = case.solve(*given, total, intercept, case.l1, case.l2)
    ours = minimised(rows, model, penalty, 300 if case.l1 else 60)
    best = objective(rows, model, penalty, theirs)
    assert objective(rows, model, penalty, ours) == pytest.approx(best, rel=RELATIVE)
    at_zero = objective(rows, model, penalty, np.zeros_like(ours))
    assert at_zero - best > 1e3 * RELATIVE * abs(best)
    if case.l1:
        np.testing.assert_array_equal(ours == 0, np.abs(theirs) < 1e-7)


@pytest.mark.parametrize(
    ("name", "rounds"), [("poisson", 300), ("softmax", 300), ("logistic-l1", 800)]
)
def test_rounds_that_do_not_wait_find_the_same(name: str, rounds: int) -> None:
    """With weights and an intercept, by the default scheme's method for the penalty."""
    case = CASES[name]
    rows = weighed(some_rows(case.labels))
    given: dict[str, Any] = {"model": case.model, "l1": case.l1, "l2": case.l2, "intercept": True}
    given |= {"step": "auto", "optimizer": "auto", "scheme": "cached", "workers": 6}
    machine, descent = make_master(rows, **given, rounds=rounds)
    cluster = VirtualCluster(machine, descent, RealArithmetic(rows), Timing())
    assert descent.chosen.name == ("diagonal" if case.l1 else "anchored-lbfgs")
    for i in range(6):
        cluster.start(f"w{i}", i)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == 0
    model, penalty = machine.plan.model, machine.plan.penalty
    best = objective(rows, model, penalty, minimised(rows, model, penalty, 300))
    found = objective(rows, model, penalty, descent.model)
    assert found == pytest.approx(best, rel=RELATIVE)
