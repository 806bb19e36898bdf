"""The estimators have the optima of scikit-learn's own at the same penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import huber, log_expit, logsumexp
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.metrics import mean_gamma_deviance, mean_poisson_deviance, mean_tweedie_deviance
from sklearn.svm import LinearSVC

import erasurehead as eh
from tests.face.conftest import Table


def rows(seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((150, 5)) * [1.0, 2.0, 0.5, 3.0, 1.0]
    return X, X @ np.array([1.0, -0.5, 0.0, 0.2, 0.7]) + 0.8 + rng.standard_normal(150)


def log_loss(X: Any, y: Any, C: float, w: Any, coef: Any, intercept: Any) -> float:
    """Return scikit-learn's objective of (multinomial) logistic regression."""
    margins = X @ coef.T + intercept
    if margins.shape[1] == 1:
        losses = -log_expit(np.where(y == 1, 1, -1) * margins[:, 0])
    else:
        losses = logsumexp(margins, axis=1) - margins[np.arange(len(y)), y]
    return float(C * w @ losses + 0.5 * np.sum(coef**2))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_optimum_is_that_of_logistic_regression(
    n_classes: int, weighted: bool, fit_intercept: bool
) -> None:
    X, z = rows()
    y = np.digitize(z, [0.5] if n_classes == 2 else [0.0, 1.5])
    w = np.random.default_rng(2).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    given: dict[str, Any] = {"C": 0.3, "fit_intercept": fit_intercept}
    ours = eh.CodedClassifier(**given).fit(X, y, sample_weight=w if weighted else None)
    theirs = LogisticRegression(tol=1e-10, max_iter=5000, **given).fit(X, y, sample_weight=w)
    found, best = (log_loss(X, y, 0.3, w, e.coef_, e.intercept_) for e in (ours, theirs))
    assert found <= best * (1 + 1e-6)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-3)
    assert ours.n_iter_ == len(ours.history_)


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        ("poisson", PoissonRegressor(alpha=0.1, solver="newton-cholesky")),
        ("gamma", GammaRegressor(alpha=0.1, solver="newton-cholesky")),
    ],
)
@pytest.mark.parametrize("weighted", [True, False])
def test_large_numbers_are_learnt(model: str, theirs: Any, weighted: bool) -> None:
    """Counts of some ten thousand diverged, and sizes of some billions ended a fit at once."""
    X, z = rows()
    y = np.random.default_rng(4).poisson(np.exp(0.3 * z)) + 1.0
    w = np.random.default_rng(2).integers(1, 4, len(y)) if weighted else None
    for scale in (1e4, 1e6, 1e9):
        ours = eh.CodedRegressor(model=model, alpha=0.1).fit(X, y * scale, w)
        best = theirs.fit(X, y * scale, w)
        np.testing.assert_allclose(ours.predict(X), best.predict(X), rtol=1e-4)


def test_a_step_that_overshoots_does_not_end_a_fit() -> None:
    """It lifted the mean loss of ten rounds, which then seemed to fall no longer: the fit ended a
    tenth of the way from the minimum, without a warning."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 4))
    y = X @ [1, -2, 0.5, 0] + 0.5 * rng.standard_normal(120) > 0
    X = X * [1, 1e3, 1e-3, 1e6]
    theirs = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(X, y)
    ours = eh.CodedClassifier().fit(X, y)
    losses = [record.train_loss for record in ours.history_]
    assert max(np.diff(losses)) > 0.1
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_optimum_is_that_of_ridge(weighted: bool, fit_intercept: bool) -> None:
    X, y = rows()
    w = np.random.default_rng(2).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    ours = eh.CodedRegressor(alpha=3.0 / w.sum(), fit_intercept=fit_intercept)
    ours.fit(X, y, sample_weight=w if weighted else None)
    theirs = Ridge(alpha=3.0, fit_intercept=fit_intercept).fit(X, y, sample_weight=w)

    def objective(estimator: Any) -> float:
        residuals = y - estimator.predict(X)
        return float(w @ residuals**2 + 3.0 * np.sum(estimator.coef_**2))

    assert objective(ours) <= objective(theirs) * (1 + 1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        ("poisson", PoissonRegressor(alpha=0.1, tol=1e-9, max_iter=1000)),
        ("gamma", GammaRegressor(alpha=0.1, tol=1e-9, max_iter=1000)),
        ("tweedie:power=1.5", TweedieRegressor(power=1.5, alpha=0.1, tol=1e-9, max_iter=1000)),
    ],
)
@pytest.mark.parametrize("weighted", [True, False])
def test_the_optimum_is_that_of_a_generalised_linear_model(
    model: str, theirs: Any, weighted: bool
) -> None:
    X, z = rows()
    y = np.exp(0.3 * z) + 0.1
    w = np.random.default_rng(2).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    ours = eh.CodedRegressor(model=model, alpha=0.1).fit(X, y, w if weighted else None)
    theirs.fit(X, y, w)
    # Half a mean deviance, of which scikit-learn's D^2 is one minus a multiple, and the penalty.
    a, b = (e.predict(X) for e in (ours, theirs))
    deviance = {"poisson": mean_poisson_deviance, "gamma": mean_gamma_deviance}.get(
        model, lambda y, p, sample_weight: mean_tweedie_deviance(y, p, sample_weight=w, power=1.5)
    )
    found, best = (
        0.5 * deviance(y, p, sample_weight=w) + 0.05 * np.sum(e.coef_**2)
        for e, p in ((ours, a), (theirs, b))
    )
    assert found <= best * (1 + 1e-6)
    np.testing.assert_allclose(a, b, rtol=1e-2)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_the_optimum_is_that_of_the_elastic_net(l1_ratio: float) -> None:
    X, y = rows()
    ours = eh.CodedRegressor(alpha=0.3, l1_ratio=l1_ratio).fit(X, y)
    theirs = ElasticNet(alpha=0.3, l1_ratio=l1_ratio, tol=1e-12).fit(X, y)

    def objective(e: Any) -> float:
        loss = 0.5 * np.mean((y - e.predict(X)) ** 2)
        ridge, lasso = 0.5 * np.sum(e.coef_**2), np.abs(e.coef_).sum()
        return float(loss + 0.3 * ((1 - l1_ratio) * ridge + l1_ratio * lasso))

    assert objective(ours) <= objective(theirs) * (1 + 1e-6)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    assert (ours.coef_ == 0).any()


@pytest.mark.parametrize("weighted", [True, False])
def test_the_optimum_is_that_of_huber_at_the_scale_that_was_estimated(weighted: bool) -> None:
    """HuberRegressor's loss at its scale s is 2 / s times ours with delta = epsilon s."""
    X, y = rows()
    y[::10] += 20.0
    w = np.random.default_rng(2).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    theirs = HuberRegressor(epsilon=1.5, alpha=2.0, tol=1e-9, max_iter=10_000)
    theirs.fit(X, y, sample_weight=w)
    delta = 1.5 * float(theirs.scale_)
    ours = eh.CodedRegressor(
        model=f"huber:delta={delta!r}", alpha=2.0 * theirs.scale_ / w.sum(), tol=1e-9
    ).fit(X, y, w if weighted else None)

    def objective(e: Any) -> float:
        loss = w @ huber(delta, y - e.predict(X))
        return float(loss + theirs.scale_ * np.sum(e.coef_**2))

    assert objective(ours) <= objective(theirs) * (1 + 1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)


def test_the_optimum_of_a_classifier_with_an_l1_penalty_is_one() -> None:
    """Of C times the losses plus (1 - r)/2 ||w||^2 + r ||w||_1, by the conditions of a minimum."""
    X, z = rows()
    y, C, r = np.digitize(z, [0.5]), 0.05, 0.7
    found = eh.CodedClassifier(C=C, l1_ratio=r, tol=1e-9).fit(X, y)
    off = found.predict_proba(X)[:, 1] - y
    coef, slope = found.coef_[0], C * off @ X + (1 - r) * found.coef_[0]
    assert off.sum() == pytest.approx(0, abs=1e-3)
    assert (coef == 0).any()
    np.testing.assert_allclose(slope[coef != 0], -r * np.sign(coef[coef != 0]), atol=1e-3)
    assert (np.abs(slope[coef == 0]) <= r).all()


def test_the_optimum_is_that_of_the_squared_hinge() -> None:
    X, z = rows()
    y = np.digitize(z, [0.5])
    ours = eh.CodedClassifier(model="squared-hinge", C=0.1, fit_intercept=False).fit(X, y)
    theirs = LinearSVC(C=0.1, fit_intercept=False, tol=1e-10, dual=False, max_iter=10000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    assert not hasattr(ours, "predict_proba")


def test_balanced_classes_are_those_of_scikit_learn() -> None:
    X, z = rows()
    y = np.digitize(z, [2.0])
    ours = eh.CodedClassifier(class_weight="balanced").fit(X, y)
    theirs = LogisticRegression(class_weight="balanced", tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)


def test_weights_of_classes_are_weights_of_their_rows(table: Table) -> None:
    given = {"late": 2.0, "early": 0.5}
    by_class = eh.CodedClassifier(class_weight=given).fit(*table)
    by_row = eh.CodedClassifier().fit(*table, sample_weight=[given[name] for name in table.y])
    np.testing.assert_allclose(by_class.coef_, by_row.coef_, atol=1e-9)
