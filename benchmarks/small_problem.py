"""A regularised problem on some rows of a store, small enough for its minimum to be known."""

from __future__ import annotations

import argparse
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.store import Store, write_store
from erasurehead.rows import CsrRows
from erasurehead_simulator.planner.problem import sample


def some_rows(source: Store, n_rows: int, out: Path) -> Store:
    """Write a store of the first training rows (they are in random order) on the columns that they
    touch; its test rows are one of them."""
    rows = source.train.rows(0, min(n_rows, len(source.train.labels)))
    touched, columns = np.unique(rows.indices, return_inverse=True)
    train = CsrRows(rows.indptr, columns.astype(np.int32), rows.values, rows.labels, len(touched))
    made = Provenance(source.manifest.name, source.digest, "some-rows", {}, {})
    return write_store(
        out, source.manifest.name, source.manifest.target, train, train.rows(0, 1), made
    )


def add_problem(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `given_problem` reads."""
    parser.add_argument("store")
    parser.add_argument("--l2", type=float, required=True)
    parser.add_argument("--optimum", type=Path, help="file of the optimum's model, as `w`")
    parser.add_argument("--rows", type=int, help="train on the first rows alone")


def given_problem(given: argparse.Namespace) -> tuple[Store, Problem]:
    """Return the store that was asked for, and the problem on it."""
    store = Store.open(given.store)
    if given.rows is not None:
        store = sample(store, given.rows, 1)
    problem = Problem(store, given.l2)
    if given.optimum is not None:
        problem.best = np.load(given.optimum)["w"]
    return store, problem


class Problem:
    """Mean loss over the training rows plus (l2/2) ||theta||^2, and its minimum.

    Parameters
    ----------
    store: of two classes or of numbers.
    l2: above 0.
    rows: the training rows that count; None: all.
    """

    def __init__(self, store: Store, l2: float, rows: IntArray | None = None) -> None:
        self.logistic = store.manifest.target == "two classes"
        self.l2 = l2
        self._x, self._y = store.train.matrix(), np.asarray(store.train.labels)
        if rows is not None:
            self._x, self._y = self._x[rows], self._y[rows]

    def value(self, theta: FloatArray) -> float:
        """Return the objective."""
        margins = self._x @ theta
        losses = (
            np.logaddexp(0.0, -self._y * margins)
            if self.logistic
            else 0.5 * (margins - self._y) ** 2
        )
        return float(np.mean(losses) + 0.5 * self.l2 * theta @ theta)

    @cached_property
    def best(self) -> FloatArray:
        """The minimum: by conjugate gradients where it is linear, else by L-BFGS."""
        n, columns = self._x.shape
        if not self.logistic:

            def hessian(v: FloatArray) -> FloatArray:
                product: FloatArray = self._x.T @ (self._x @ v) / n + self.l2 * v
                return product

            operator = LinearOperator((columns, columns), matvec=hessian, dtype=np.float64)
            found, failed = cg(operator, self._x.T @ self._y / n, rtol=1e-15, maxiter=5000)
            assert failed == 0
            return np.asarray(found)

        def slope(theta: FloatArray) -> FloatArray:
            pull = self._y / (1.0 + np.exp(self._y * (self._x @ theta)))
            return np.asarray(self.l2 * theta - self._x.T @ pull / n)

        options = {"maxiter": 5000, "ftol": 1e-17, "gtol": 1e-12}
        done = minimize(
            self.value, np.zeros(columns), jac=slope, method="L-BFGS-B", options=options
        )
        return np.asarray(done.x)

    @cached_property
    def least(self) -> float:
        """The objective at the minimum."""
        return self.value(self.best)

    @cached_property
    def initial(self) -> float:
        """The gap of a model of zeros."""
        return self.value(np.zeros_like(self.best)) - self.least

    def gap(self, theta: FloatArray) -> float:
        """Return f(theta) - f*; for least squares without cancellation."""
        if self.logistic:
            return self.value(theta) - self.least
        away = theta - self.best
        shift = self._x @ away
        return float(0.5 * np.mean(shift * shift) + 0.5 * self.l2 * away @ away)

    def rate(self, theta: FloatArray) -> dict[str, float]:
        """Return the gap's share of that of a model of zeros, as a metric of a round."""
        return {"gap": self.gap(theta) / self.initial}
