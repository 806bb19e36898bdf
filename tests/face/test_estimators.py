"""The estimators among scikit-learn's own: the same optima, and every check of an estimator."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from scipy import sparse
from scipy.special import log_expit, logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.metrics import mean_gamma_deviance, mean_poisson_deviance, mean_tweedie_deviance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import erasurehead as eh
from erasurehead.datasets.prepare import prepare
from erasurehead_face.estimators import callbacks
from tests.face.conftest import Table

HAS_CALLBACKS = hasattr(callbacks.CallbackSupport, "set_callbacks")


@pytest.mark.parametrize("estimator", [eh.CodedClassifier(), eh.CodedRegressor()], ids=repr)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_check_of_an_estimator_passes(estimator: BaseEstimator) -> None:
    check_estimator(estimator)


# The same optima


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


# What is handed in


def test_every_kind_of_matrix_gives_the_same_model(table: Table, tmp_path: Path) -> None:
    X = np.where(np.abs(table.X) < 0.7, 0.0, table.X).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    long = sparse.csr_array(X)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    kinds: dict[str, Any] = {
        "float64": X.astype(np.float64),
        "csr": sparse.csr_array(X),
        "csr of int64": long,
        "csr_matrix": sparse.csr_matrix(X),
        "csc": sparse.csc_array(X),
        "map": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "frame": pd.DataFrame(X, columns=list("abcdef")),
    }
    expected = eh.CodedClassifier().fit(X, table.y)
    for name, kind in kinds.items():
        found = eh.CodedClassifier().fit(kind, table.y)
        np.testing.assert_array_equal(found.coef_, expected.coef_, err_msg=name)
        assert (found.predict(kind) == expected.predict(X)).all(), name
    assert list(found.feature_names_in_) == list("abcdef")


def test_a_matrix_with_repeated_entries_is_shared_by_two_fits() -> None:
    data = np.ones(600, np.int8)
    columns = np.tile([0, 1], 300)
    X = sparse.csr_array((data, columns, np.array([0, 300, 400, 600])), shape=(3, 2))
    data.flags.writeable = False
    y = [1.0, 2.0, 3.0]
    first, second = (eh.CodedRegressor(alpha=0.1).fit(X, y) for _ in range(2))
    dense = eh.CodedRegressor(alpha=0.1).fit([[150, 150], [50, 50], [100, 100]], y)
    np.testing.assert_array_equal(first.coef_, second.coef_)
    np.testing.assert_array_equal(first.coef_, dense.coef_)
    assert X.nnz == 600


def test_a_store_is_learnt_from(tmp_path: Path) -> None:
    options = {"rows": "300", "columns": "8", "nnz": "3", "labels": "two-classes"}
    path = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    found = eh.CodedClassifier(fit_intercept=False).fit(path)
    run = eh.simulate(path, pass_s=1.0, scheme="uncoded", workers=1, l2="auto", until="gap:1e-6")
    np.testing.assert_allclose(found.coef_[0], run.theta, atol=1e-3)
    with pytest.raises(eh.UsageError, match="beside the store"):
        eh.CodedClassifier().fit(path, [1, 2])
    with pytest.raises(eh.DataError, match="take CodedClassifier"):
        eh.CodedRegressor().fit(path)


def test_categories_come_in_through_a_pipeline() -> None:
    frame = pd.DataFrame({"colour": ["red", "blue", "red", "green"] * 10, "size": np.arange(40.0)})
    y = np.where(frame["colour"] == "red", "yes", "no")
    encode = make_column_transformer(
        (OneHotEncoder(), ["colour"]), (StandardScaler(), ["size"]), sparse_threshold=1.0
    )
    model = make_pipeline(encode, eh.CodedClassifier()).fit(frame, y)
    assert model.score(frame, y) == 1.0


# What scikit-learn does with estimators


def test_a_grid_search_starts_one_nursery_and_reuses_it(table: Table) -> None:
    search = GridSearchCV(eh.CodedClassifier(n_jobs=2, scheme="uncoded"), {"C": [0.01, 1.0]}, cv=2)
    search.fit(*table)
    [nursery] = psutil.Process().children()
    assert nursery.children() == []  # its workers are gone; the next fit forks others
    alone = GridSearchCV(eh.CodedClassifier(), {"C": [0.01, 1.0]}, cv=2).fit(*table)
    assert search.best_params_ == alone.best_params_
    np.testing.assert_allclose(search.best_estimator_.coef_, alone.best_estimator_.coef_, 1e-9)
    assert psutil.Process().children() == [nursery]


def test_a_calibrated_and_a_routed_classifier(table: Table) -> None:
    import sklearn

    weights = np.random.default_rng(3).uniform(size=len(table.y))
    calibrated = CalibratedClassifierCV(eh.CodedClassifier(), cv=2).fit(*table)
    assert calibrated.predict_proba(table.X).shape == (240, 2)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = eh.CodedClassifier().set_fit_request(sample_weight=True)
        routed = routed.set_score_request(sample_weight=True)
        search = GridSearchCV(routed, {"C": [1.0]}, cv=2).fit(*table, sample_weight=weights)
    plain = eh.CodedClassifier().fit(*table, sample_weight=weights)
    np.testing.assert_allclose(search.best_estimator_.coef_, plain.coef_, atol=1e-9)


def test_a_fitted_model_is_pickled_without_processes(table: Table) -> None:
    fitted = eh.CodedClassifier(n_jobs=2, scheme="uncoded").fit(*table)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(table.X), fitted.predict_proba(table.X))
    assert not hasattr(clone(fitted), "coef_")


def test_a_warm_start_goes_on_where_the_last_fit_ended(table: Table) -> None:
    cold = eh.CodedClassifier(warm_start=True, tol=1e-9).fit(*table)
    first, cold_loss = cold.history_[0].train_loss, cold.history_[-1].train_loss
    assert cold.fit(*table).history_[0].train_loss == pytest.approx(cold_loss, rel=1e-9)
    assert cold_loss < first


def test_iris_is_told_apart_by_coded_workers() -> None:
    X, y = load_iris(return_X_y=True)
    given: dict[str, Any] = {"n_jobs": 6, "scheme": "agc:c=3,r=3", "max_iter": 60, "tol": 0}
    found = make_pipeline(StandardScaler(), eh.CodedClassifier(**given)).fit(X, y)
    assert found.score(X, y) > 0.93


def test_too_few_rounds_are_told_of(table: Table) -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=3 rounds"):
        eh.CodedClassifier(max_iter=3).fit(*table)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"C": 0}, "C=0 is no inverse strength"),
        ({"l1_ratio": 2}, "l1_ratio=2 is no share"),
        ({"n_jobs": 0}, "n_jobs=0 has no meaning"),
        ({"scheme": "agx"}, "unknown scheme"),
        ({"model": "least-squares"}, "take CodedRegressor"),
        ({"model": "logisitc"}, "did you mean 'logistic'"),
        ({"max_iter": 0}, "rounds"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(given: dict[str, Any], told: str, table: Table) -> None:
    with pytest.raises(ValueError, match=told):
        eh.CodedClassifier(**given).fit(*table)


def test_three_classes_are_too_many_for_a_binary_model() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(eh.DataError, match="take model='softmax'"):
        eh.CodedClassifier(model="logistic").fit(X, y)


# Callbacks, which scikit-learn has since 1.9


class AtRound:
    """A callback that does something in a round."""

    def __init__(self, round_: int, then: Callable[[Any], bool]) -> None:
        self.seen: list[str] = []
        self._round = round_
        self._then = then

    def setup(self, estimator: Any, context: Any) -> None:
        self.seen.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.seen.append(f"{context.task_name} begins")

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        self.seen.append(f"{context.task_name} ends")
        if context.task_name != "round" or context.task_id + 1 != self._round:
            return False
        return self._then(fitted_estimator)


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has callbacks since 1.9")
def test_a_callback_sees_a_fitted_estimator_each_round_and_may_end_the_fit(table: Table) -> None:
    scores: list[float] = []

    def enough(fitted: Any) -> bool:
        scores.append(fitted.score(*table))
        return True

    callback = AtRound(3, enough)
    fitted = eh.CodedClassifier().set_callbacks(callback).fit(*table)
    assert scores == [fitted.score(*table)]
    assert fitted.n_iter_ == 3
    rounds = ["round begins", "round ends"] * 3
    assert callback.seen == ["setup", "fit begins", *rounds, "fit ends", "teardown"]


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has callbacks since 1.9")
def test_an_interrupted_fit_keeps_what_was_learnt(table: Table) -> None:
    def interrupt(fitted: Any) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return False

    estimator = eh.CodedClassifier().set_callbacks(AtRound(2, interrupt))
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(*table)
    assert estimator.n_iter_ == 2
    assert estimator.predict(table.X).shape == (240,)
