"""How far models are from scikit-learn's optimum."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.results.optimum import check_optimum, way_left
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.planning import make_plan

L2 = 1e-2

Planned = Callable[..., tuple[RunPlan, Store]]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    def make(labels: str, l2: float = L2) -> tuple[RunPlan, Store]:
        options = {"rows": "200", "columns": "12", "nnz": "3", "seed": "1", "labels": labels}
        out = tmp_path_factory.mktemp("stores") / "rows"
        store = prepare("synthetic", source=None, out=out, options=options).store
        given = {"store": str(out), "scheme": "uncoded", "workers": 2, "l2": l2}
        return make_plan(load(RunSettings, given, environment={}), store, None), store

    return make


def test_the_optimum_of_squares_is_that_of_linear_equations(planned: Planned) -> None:
    plan, store = planned("numbers")
    X, y = store.train.matrix().toarray(), np.asarray(store.train.labels)
    H = X.T @ X / len(X) + L2 * np.eye(X.shape[1])
    best = np.linalg.solve(H, X.T @ y / len(X))
    models = [np.zeros(len(best)), best, 0.5 * best]
    assert way_left(plan, store, models) == pytest.approx([1.0, 0.0, 0.25], abs=1e-9)


def test_at_the_logistic_optimum_the_gradient_is_zero(planned: Planned) -> None:
    """Newton's steps of this test's own come to the same point."""
    plan, store = planned("two-classes")
    X, y = store.train.matrix().toarray(), np.asarray(store.train.labels)
    theta = np.zeros(X.shape[1])
    for _ in range(20):
        p = expit(y * (X @ theta))
        gradient = L2 * theta - X.T @ (y * (1 - p)) / len(y)
        hessian = (X.T * (p * (1 - p))) @ X / len(y) + L2 * np.eye(len(theta))
        theta = theta - np.linalg.solve(hessian, gradient)
    left = way_left(plan, store, [np.zeros(len(theta)), theta])
    assert left == pytest.approx([1.0, 0.0], abs=1e-9)


def test_what_scikit_learn_cannot_be_asked_is_refused(planned: Planned) -> None:
    plan, store = planned("numbers")
    check_optimum(plan, store)
    with pytest.raises(UsageError, match="with a penalty"):
        check_optimum(*planned("numbers", 0.0))
    weighted = dataclasses.replace(store.train, weights=np.ones(len(store.train.labels)))
    with pytest.raises(UsageError, match="without weights"):
        check_optimum(plan, dataclasses.replace(store, train=weighted))
