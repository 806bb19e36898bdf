"""The estimators among scikit-learn's own: every check, what they take, and what uses them."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
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


def test_numbers_of_a_store_are_learnt_from(tmp_path: Path) -> None:
    options = {"rows": "300", "columns": "8", "nnz": "3", "labels": "numbers"}
    path = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    found = eh.CodedRegressor(alpha=0.01).fit(str(path))
    rows = eh.Store.open(path).train
    theirs = Ridge(alpha=0.01 * len(rows.labels)).fit(rows.matrix(), np.asarray(rows.labels))
    np.testing.assert_allclose(found.coef_, theirs.coef_, atol=1e-3)
    with pytest.raises(eh.DataError, match="take CodedRegressor"):
        eh.CodedClassifier().fit(path)


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


def test_a_search_may_fit_in_several_threads(table: Table) -> None:
    grid = {"C": [0.01, 0.1, 1.0]}
    alone = GridSearchCV(eh.CodedClassifier(), grid, cv=2).fit(*table)
    with joblib.parallel_backend("threading", n_jobs=2):
        together = GridSearchCV(eh.CodedClassifier(), grid, cv=2).fit(*table)
    scores = "mean_test_score"
    np.testing.assert_array_equal(together.cv_results_[scores], alone.cv_results_[scores])


def test_a_calibrated_and_a_routed_classifier(table: Table) -> None:
    import sklearn

    weights = np.random.default_rng(3).uniform(size=len(table.y))
    calibrated = CalibratedClassifierCV(eh.CodedClassifier(), cv=2)
    calibrated.fit(*table, sample_weight=weights)
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


def test_a_seed_gives_the_same_fit_and_another_nearly(table: Table) -> None:
    fits = [
        eh.CodedClassifier(random_state=seed).fit(*table)
        for seed in (3, 3, 4, np.random.RandomState(5))
    ]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    for other in fits[2:]:
        np.testing.assert_allclose(other.coef_, fits[0].coef_, atol=1e-3)


def test_delays_are_waited_for_and_rounds_are_shown(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"delay": "exponential:mean_s=0.001", "max_iter": 4, "tol": 0}
    fitted = eh.CodedClassifier(verbose=1, **given).fit(*table)
    assert all(record.arrivals[0].delay_s > 0 for record in fitted.history_)
    assert "logistic" in capsys.readouterr().err
    assert not hasattr(fitted, "partial_fit")


def test_too_few_rounds_are_told_of(table: Table) -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=3 rounds"):
        eh.CodedClassifier(max_iter=3).fit(*table)


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
