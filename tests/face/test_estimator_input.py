"""What is wrong with rows or with a parameter of an estimator is one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris

import erasurehead as eh
from tests.face.conftest import Table


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"C": 0}, "C=0 is no inverse strength"),
        ({"l1_ratio": 2}, "l1_ratio=2 is no share"),
        ({"n_jobs": 0}, "n_jobs=0 has no meaning"),
        ({"n_jobs": "all"}, "n_jobs='all' has no meaning"),
        ({"max_iter": "5"}, "max_iter='5' is no number of rounds"),
        ({"max_iter": 2.5}, "max_iter=2.5 is no number of rounds"),
        ({"model": None}, "model=None is no text; give the name of a model"),
        ({"C": "a"}, "C='a' is no inverse strength"),
        ({"C": None}, "C=None is no inverse strength"),
        ({"l1_ratio": "a"}, "l1_ratio='a' is no share"),
        ({"tol": -1}, "tol=-1 is no gap; give a number of at least 0"),
        ({"tol": "a"}, "tol='a' is no gap"),
        ({"scheme": "agx"}, "unknown scheme"),
        ({"model": "least-squares"}, "take CodedRegressor"),
        ({"model": "logisitc"}, "did you mean 'logistic'"),
        ({"max_iter": 0}, "rounds"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(given: dict[str, Any], told: str, table: Table) -> None:
    with pytest.raises(ValueError, match=told):
        eh.CodedClassifier(**given).fit(*table)


NAN_LAST = np.append(np.ones(239), np.nan)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"y": ["late"] * 240}, "y has one class, late, in every row that counts"),
        ({"y": NAN_LAST}, "NaN"),
        ({"y": ["late"] * 239}, "inconsistent numbers of samples"),
        ({"y": np.linspace(0, 1, 240)}, "Unknown label type"),
        ({"y": np.zeros((240, 2))}, "1d array|Unknown label type|shape"),
        ({"X": np.full((240, 6), np.inf)}, "infinity"),
        ({"X": sparse.csr_array(np.ones((240, 6), complex))}, "[Cc]omplex data not supported"),
        ({"X": np.ones((240, 6, 2))}, "dim 3"),
        ({"sample_weight": -np.ones(240)}, "negative weight -1"),
        ({"sample_weight": np.zeros(240)}, "0 in every row|at least one non-zero"),
        ({"sample_weight": NAN_LAST}, "NaN"),
        ({"sample_weight": np.ones(3)}, "shape"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_wrong_rows_are_one_sentence(change: dict[str, Any], told: str, table: Table) -> None:
    with pytest.raises(ValueError, match=told):
        eh.CodedClassifier().fit(**{"X": table.X, "y": table.y, **change})


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"late": -1}, "class_weight gives the class late the weight -1"),
        ({"late": np.nan}, "class_weight gives the class late the weight nan"),
        ({"late": 0}, "y has one class, early, in every row that counts"),
        ({"late": 0, "early": 0}, "class_weight leaves no row that counts"),
    ],
    ids=str,
)
def test_wrong_weights_of_classes_are_one_sentence(
    weights: dict[str, Any], told: str, table: Table
) -> None:
    with pytest.raises(ValueError, match=told):
        eh.CodedClassifier(class_weight=weights).fit(*table)


def test_counts_that_are_all_0_are_one_sentence_and_no_endless_fit(table: Table) -> None:
    with pytest.raises(eh.DataError, match="has a label above 0, so nothing holds an intercept"):
        eh.CodedRegressor(model="poisson").fit(table.X, np.zeros(240))
    without = eh.CodedRegressor(model="poisson", fit_intercept=False)
    assert np.isfinite(without.fit(table.X, np.zeros(240)).coef_).all()
    with pytest.raises(eh.DataError, match="it needs numbers above 0"):
        eh.CodedRegressor(model="gamma").fit(table.X, np.zeros(240))


def test_numbers_that_are_all_the_same_are_learnt(table: Table) -> None:
    for model, number in (("least-squares", 3.0), ("gamma", 2.0), ("huber:delta=1", -1.0)):
        found = eh.CodedRegressor(model=model).fit(table.X, np.full(240, number))
        np.testing.assert_allclose(found.predict(table.X), number, rtol=1e-3)


def test_other_columns_and_too_many_classes_are_one_sentence(table: Table) -> None:
    with pytest.raises(ValueError, match="2 features, but CodedClassifier is expecting 6"):
        eh.CodedClassifier().fit(*table).predict(table.X[:, :2])
    many = np.arange(20_002) // 2
    with pytest.raises(eh.UsageError, match="takes 2 to 10,000 classes, and 10,001 are asked for"):
        eh.CodedClassifier().fit(np.ones((len(many), 1)), many)


def test_a_warm_start_on_other_columns_is_one_sentence_and_no_endless_fit(table: Table) -> None:
    fitted = eh.CodedClassifier(warm_start=True).fit(*table)
    with pytest.raises(eh.DataError, match=r"goes on from 7 parameters, .* of these rows has 3;"):
        fitted.fit(table.X[:, :2], table.y)


def test_a_class_that_occurs_once_is_told_of() -> None:
    X, y = np.eye(7), ["a", "b", "c", "a", "b", "a", "b"]
    with pytest.warns(UserWarning, match="y has the class c in one row only"):
        assert len(eh.CodedClassifier().fit(X, y).classes_) == 3


def test_three_classes_are_too_many_for_a_binary_model() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(eh.DataError, match="take model='softmax'"):
        eh.CodedClassifier(model="logistic").fit(X, y)
