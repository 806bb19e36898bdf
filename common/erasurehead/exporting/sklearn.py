"""scikit-learn: an estimator of its own that predicts what the model predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO, ClassVar

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import UsageError
from erasurehead.exporting.base import Export, Learnt
from erasurehead.models.coefficients import coefficients

EPSILON = 1.35
"""Of HuberRegressor: its loss is a line from so many times its scale on."""


def _nothing(model: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Counterpart:
    """The estimator of scikit-learn for a model.

    Attributes
    ----------
    kind: its class, and the module that has it.
    options: the parameters that a model decides.
    fitted: attributes besides coefficients and intercepts that a model decides.
    """

    kind: str
    options: Callable[[Any], Mapping[str, Any]] = _nothing
    fitted: Callable[[Any], Mapping[str, Any]] = _nothing

    def empty(self, model: Any) -> Any:
        """Return the estimator with its parameters, not fitted."""
        module, _, name = self.kind.rpartition(".")
        return getattr(import_module(f"sklearn.{module}"), name)(**self.options(model))


COUNTERPARTS = {
    "logistic": Counterpart("linear_model.LogisticRegression"),
    "softmax": Counterpart("linear_model.LogisticRegression"),
    "squared-hinge": Counterpart("svm.LinearSVC"),
    "least-squares": Counterpart("linear_model.LinearRegression"),
    "huber": Counterpart(
        "linear_model.HuberRegressor",
        lambda model: {"epsilon": EPSILON},
        lambda model: {"scale_": model.delta / EPSILON},
    ),
    "poisson": Counterpart("linear_model.PoissonRegressor"),
    "gamma": Counterpart("linear_model.GammaRegressor"),
    "tweedie": Counterpart(
        "linear_model.TweedieRegressor", lambda model: {"power": model.power, "link": "log"}
    ),
}


def sklearn_estimator(learnt: Learnt) -> Any:
    """Return a fitted estimator of scikit-learn with a model's coefficients.

    It needs no part of ErasureHead. Its `classes_` are sorted, as those of every classifier of
    scikit-learn are. It takes columns that have names by these only. It knows nothing of offsets.

    Raises
    ------
    UsageError: scikit-learn is not installed, or has no estimator for the model.
    """
    model = learnt.model
    _check_installed()
    if model.spec.name not in COUNTERPARTS:
        raise UsageError(
            f"scikit-learn has no estimator for the model {model.spec.name}; it has one for"
            f" {', '.join(COUNTERPARTS)}"
        )
    counterpart = COUNTERPARTS[model.spec.name]
    coef, intercept = coefficients(model, learnt.theta)
    stand_ins, classes = 2, {}
    if model.target != "numbers":
        names, coef, intercept = _by_sorted_class(learnt.class_names, coef, intercept)
        stand_ins, classes = len(names), {"classes_": names}
    estimator = counterpart.empty(model)
    # A fit to a column of zeros gives the estimator what its version of scikit-learn wants a fitted
    # one to have; then the numbers become the model's. The labels are stand-ins, for it refuses to
    # be fitted to classes with a fraction.
    estimator.fit(np.zeros((stand_ins, 1)), np.arange(1, stand_ins + 1))
    fitted = {"coef_": coef, "intercept_": intercept, "n_features_in_": model.n_columns, **classes}
    if learnt.column_names:
        fitted["feature_names_in_"] = np.array(learnt.column_names, dtype=object)
    for name, value in {**fitted, **counterpart.fitted(model)}.items():
        setattr(estimator, name, value)
    return estimator


class SklearnExport(Export):
    """A file of joblib with such an estimator, which scikit-learn of the same version loads."""

    name: ClassVar[str] = "sklearn"
    file: ClassVar[str] = "model.joblib"

    def write(self, learnt: Learnt, file: BinaryIO) -> None:
        """Write the estimator."""
        estimator = sklearn_estimator(learnt)
        import joblib

        joblib.dump(estimator, file)

    def is_ours(self, file: BinaryIO) -> bool:
        """Return whether a file is a pickle that names scikit-learn."""
        begin = file.read(256)
        return begin.startswith(b"\x80") and b"sklearn." in begin


def _by_sorted_class(
    names: Array, coef: FloatArray, intercept: Any
) -> tuple[Array, FloatArray, FloatArray]:
    """Return classes, coefficients and intercepts as scikit-learn orders and shapes them.

    Two classes have one margin, that of the second: shapes (1, columns) and (1,).
    """
    order = np.argsort(names)
    intercept = np.atleast_1d(intercept)
    if coef.ndim == 2:
        coef, intercept = coef[order], intercept[order]
        if len(names) == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        return names[order], coef, intercept
    sign = 1.0 if order[0] == 0 else -1.0
    return names[order], sign * coef[np.newaxis], sign * intercept


def _check_installed() -> None:
    try:
        import_module("sklearn")
    except ImportError:
        raise UsageError(
            "an estimator of scikit-learn needs scikit-learn, which is not installed; install"
            " 'erasurehead[sklearn]'"
        ) from None
