"""The minimum of a penalised objective by scipy, and how far models are above it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError
from erasurehead.models import default_model
from erasurehead.process.durable import replace_file

CLOSE = 1e-9
"""Share of the way from a model of zeros by which the optimum may be missed."""

STAGES = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
"""Norms of the scaled gradient to go to, one after another, until that is close enough."""

AT_ONCE = 8
"""Models that are looked at together: the rows are read once for them."""


class Objective:
    """f(theta) = mean loss over the training rows + (l2/2) |theta|^2, of a linear model.

    Parameters
    ----------
    store: of two classes or of numbers.
    l2: above 0.
    """

    def __init__(self, store: Store, l2: float) -> None:
        self.name = store.manifest.name
        self.logistic = default_model(store.manifest.target) == "logistic"
        self.l2 = l2
        self._x = store.train.matrix()
        self._y = np.asarray(store.train.labels)

    def values(self, models: FloatArray) -> FloatArray:
        """Return f of each model, shape (models,), from shape (models, columns)."""
        margins = self._x @ models.T
        y = self._y[:, np.newaxis]
        losses = np.logaddexp(0.0, -y * margins) if self.logistic else 0.5 * (margins - y) ** 2
        return np.asarray(losses.mean(axis=0) + 0.5 * self.l2 * (models**2).sum(axis=1))

    def minimum(self) -> tuple[FloatArray, float]:
        """Return the minimum, and by how much f may be above its least value there.

        f is strongly convex: it is above by at most |gradient|^2 / (2 l2). Where columns are large,
        rounding leaves more of that than there is.
        """
        n, columns = self._x.shape
        squares = np.asarray(self._x.power(2).sum(axis=0)).ravel()
        root = 1.0 / np.sqrt((0.25 if self.logistic else 1.0) * squares / n + self.l2)

        def slope(theta: FloatArray) -> FloatArray:
            margins = self._x @ theta
            off = -self._y * expit(-self._y * margins) if self.logistic else margins - self._y
            return np.asarray(self._x.T @ off / n + self.l2 * theta)

        def value(u: FloatArray) -> float:
            return float(self.values((root * u)[np.newaxis])[0])

        def curved(u: FloatArray, v: FloatArray) -> FloatArray:
            way = self._x @ (root * v)
            if self.logistic:
                share = expit(self._x @ (root * u))
                way *= share * (1.0 - share)
            return np.asarray(root * (self._x.T @ way / n + self.l2 * root * v))

        u = np.zeros(columns)
        initial = value(u)
        for gtol in STAGES:
            found = minimize(
                value,
                u,
                jac=lambda u: root * slope(root * u),
                hessp=curved,
                method="trust-ncg",
                options={"gtol": gtol, "maxiter": 1000},
            )
            u = np.asarray(found.x)
            above = float(np.sum(slope(root * u) ** 2)) / (2.0 * self.l2)
            if above <= CLOSE * (initial - value(u)):
                break
        return root * u, above


class Gaps:
    """How far models are above the minimum, as shares of how far a model of zeros is."""

    def __init__(self, objective: Objective, best: FloatArray) -> None:
        self._objective = objective
        self.least = float(objective.values(best[np.newaxis])[0])
        self.whole = float(objective.values(np.zeros((1, len(best))))[0]) - self.least

    def of(self, models: FloatArray) -> FloatArray:
        """Return the gaps of models, shape (models, columns)."""
        return (self._objective.values(models) - self.least) / self.whole

    def until(self, models: Sequence[FloatArray], mark: float) -> list[float]:
        """Return the gaps of models, up to the first that has reached a mark."""
        gaps: list[float] = []
        for lo in range(0, len(models), AT_ONCE):
            gaps += self.of(np.stack(models[lo : lo + AT_ONCE])).tolist()
            reached = [i for i, gap in enumerate(gaps) if gap <= mark]
            if reached:
                return gaps[: reached[0] + 1]
        return gaps


def kept_gaps(store: Store, l2: float, file: Path) -> Gaps:
    """Return the gaps of a store, with the optimum that a file holds, or else will.

    Raises
    ------
    DataError: scipy has not come close enough to the optimum.
    """
    objective = Objective(store, l2)
    if file.exists():
        with np.load(file) as held:
            if str(held["digest"]) == store.digest and float(held["l2"]) == l2:
                return Gaps(objective, np.array(held["best"]))
    best, above = objective.minimum()
    gaps = Gaps(objective, best)
    if above > CLOSE * gaps.whole:
        raise DataError(
            f"scipy has found the optimum of {objective.name} to {above:.1e} only, which is no"
            " measure; give a larger penalty"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(
        file, lambda out: np.savez(out, best=best, above=above, l2=l2, digest=store.digest)
    )
    return gaps


def read_json(file: Path) -> dict[str, object]:
    """Read what is kept of a run.

    Raises
    ------
    DataError: it is damaged.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is damaged: {error}; remove it") from None
    if not isinstance(found, dict):
        raise DataError(f"{file} is damaged: it is no object; remove it")
    return found
