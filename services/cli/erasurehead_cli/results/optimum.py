"""How far models are from the optimum that scikit-learn finds on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.models.scoring import mean_loss
from erasurehead.optimizing.penalty import L2
from erasurehead_master.machine.plan import RunPlan

Fit = Callable[[Any, FloatArray, float], FloatArray]
"""From a matrix of rows, labels and l2 to the model of least mean loss + (l2/2) ||theta||^2."""

TOLERANCE = 1e-9
"""Of scikit-learn's solvers: their optimum is to be nearer than any run comes."""


def check_optimum(plan: RunPlan, store: Store) -> None:
    """Refuse what scikit-learn cannot be asked.

    Raises
    ------
    UsageError: it is not installed, or has no such objective.
    """
    name = plan.model.name
    if name not in FITS or plan.model.unpenalised.size or plan.l2 <= 0:
        raise UsageError(
            f"--optimum knows models {' and '.join(FITS)} with a penalty (--l2) on all parameters;"
            f" leave it out for this run of {plan.model.spec} with l2={plan.l2:g}"
        )
    if store.train.weights is not None or store.train.offsets is not None:
        raise UsageError("--optimum knows rows without weights and offsets only; leave it out")
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise UsageError(
            "--optimum needs scikit-learn; install erasurehead[data], or leave it out"
        ) from None


def way_left(plan: RunPlan, store: Store, models: Sequence[FloatArray]) -> list[float]:
    """Return for each model (f - f*) / (f(0) - f*), of which scikit-learn finds f*.

    f is the mean training loss and the penalty of a plan that `check_optimum` has let pass. Values
    below 0 belong to models better than scikit-learn's.
    """
    rows, penalty = store.train, L2(plan.l2, plan.model.unpenalised)

    def objective(theta: FloatArray) -> float:
        return mean_loss(rows, plan.model, theta) + penalty.value(theta)

    labels = np.asarray(rows.labels, dtype=np.float64)
    best = objective(FITS[plan.model.name](rows.matrix(), labels, plan.l2))
    whole = objective(np.zeros(plan.n_parameters)) - best
    return [(objective(theta) - best) / whole if whole else 0.0 for theta in models]


def _logistic(matrix: Any, labels: FloatArray, l2: float) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    solver = LogisticRegression(
        C=1.0 / (len(labels) * l2),
        fit_intercept=False,
        solver="newton-cg",
        tol=TOLERANCE,
        max_iter=1000,
    )
    return np.asarray(solver.fit(matrix, labels).coef_[0], dtype=np.float64)


def _least_squares(matrix: Any, labels: FloatArray, l2: float) -> FloatArray:
    from sklearn.linear_model import Ridge

    solver = Ridge(alpha=len(labels) * l2, fit_intercept=False, solver="sparse_cg", tol=TOLERANCE)
    return np.asarray(solver.fit(matrix, labels).coef_, dtype=np.float64)


FITS: Mapping[str, Fit] = {"logistic": _logistic, "least-squares": _least_squares}
