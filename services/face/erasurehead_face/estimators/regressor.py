"""`eh.CodedRegressor`: generalised linear regression by coded rounds, for scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from erasurehead.models import MODELS
from erasurehead.models.log_link import LogLinkModel
from erasurehead_face.estimators.base import (
    SPARSE,
    CodedEstimator,
    checked_weights,
    elastic_net,
    is_number,
    mean_one,
)
from erasurehead_face.estimators.callbacks import FitCallbacks, with_callbacks
from erasurehead_face.running.arguments import Settings


class CodedRegressor(RegressorMixin, CodedEstimator):  # type: ignore[misc]
    """Linear regression of a chosen family that is learnt by coded, straggler-tolerant rounds.

    It minimises the weighted mean loss plus alpha ((1 - l1_ratio)/2 ||w||^2 + l1_ratio ||w||_1), as
    scikit-learn's ElasticNet and its generalised linear models do; Ridge(alpha=a) on N rows is
    alpha=a/N here.

    Parameters
    ----------
    model: the loss (docs/models.md): ``least-squares``, ``poisson``, ``gamma``,
        ``tweedie:power=1.5``, ``huber:delta=1``.
    alpha: strength of the penalty, at least 0.
    l1_ratio: share of the L1 penalty, from 0 (ridge) to 1 (lasso).
    fit_intercept, scheme, n_jobs, delay, optimizer, max_iter, tol, warm_start, random_state,
        verbose: as for `CodedClassifier`.

    Attributes
    ----------
    coef_: shape (columns,).
    intercept_: a number.
    n_iter_: rounds that were run.
    n_features_in_, feature_names_in_: of the training rows.
    history_: one record a round.
    """

    def __init__(
        self,
        *,
        model: str = "least-squares",
        alpha: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        scheme: str | None = None,
        n_jobs: int | None = None,
        delay: str = "none",
        optimizer: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-8,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.scheme = scheme
        self.n_jobs = n_jobs
        self.delay = delay
        self.optimizer = optimizer
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from rows and their numbers.

        Parameters
        ----------
        X: a matrix of shape (rows, columns), dense or sparse; or the path of a store, whose
            training rows count, and then there is no `y`. Nothing that is handed in is changed.
        y: shape (rows,).
        sample_weight: what rows count for, shape (rows,).

        Raises
        ------
        ValueError: something is wrong with them or with a parameter, in one sentence.
        KeyboardInterrupt: the fit was interrupted; the estimator has what was learnt so far.
        """
        self._check_parameters()
        if isinstance(X, str | Path):
            return self._fit_store(str(X), y, sample_weight)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=SPARSE,
            dtype=[np.float64, np.float32],
            order="C",
            y_numeric=True,
        )
        weights = checked_weights(sample_weight, X)
        y = np.asarray(y, dtype=np.float64)
        data = self._handed(
            X,
            y,
            "numbers",
            None if weights is None else mean_one(weights),
        )
        callbacks = FitCallbacks(self, self.max_iter, X, y, sample_weight, self._attributes)
        begins_with = self._log_of_mean(y, weights, X.shape[1])
        self._learn(data, self._spec_of(), self._penalty(), callbacks, begins_with)
        return self

    def _log_of_mean(
        self, labels: FloatArray, weights: FloatArray | None, n_columns: int
    ) -> FloatArray | None:
        """Return parameters that say the mean of all rows, where a model is of its logarithm.

        From zeros, rows of large numbers are so far that a step to them overshoots every float, or
        that what is left in the end is little of the way. scikit-learn begins like this, too.
        """
        factory = MODELS.factory(self._model_spec().name)
        of_log = isinstance(factory, type) and issubclass(factory, LogLinkModel)
        if not (of_log and self.fit_intercept) or (labels < 0).any():
            return None
        mean = float(np.average(labels, weights=weights))
        return np.append(np.zeros(n_columns), np.log(mean)) if mean > 0 else None

    def _fit_store(self, path: str, y: Any, sample_weight: Any) -> Self:
        if y is not None or sample_weight is not None:
            raise UsageError(
                f"y or sample_weight is given beside the store {path}, which has its own; leave it"
                " out, or give a matrix for X"
            )
        manifest = Store.open(path).manifest
        if manifest.target != "numbers":
            raise DataError(
                f"the labels of {path} are classes, and a regressor needs numbers; prepare the"
                " data with labels=numbers, or take CodedClassifier"
            )
        self.n_features_in_ = manifest.columns
        callbacks = FitCallbacks(self, self.max_iter, path, None, None, self._attributes)
        self._learn(path, self._spec_of(), self._penalty(), callbacks)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the expected number of each row, shape (rows,)."""
        outputs = self._outputs(X)
        predicted: FloatArray = self._learnt().predictions(outputs)["prediction"]
        return predicted

    def _attributes(self, theta: FloatArray) -> dict[str, Any]:
        return self._fitted(MODELS.build(self._spec_of(), self.n_features_in_, None), theta)

    def _check_parameters(self) -> None:
        if not (is_number(self.alpha) and self.alpha >= 0):
            raise UsageError(f"alpha={self.alpha!r} is no strength; give a number of at least 0")
        target = getattr(MODELS.factory(self._model_spec().name), "target", "numbers")
        if target != "numbers":
            raise UsageError(f"model '{self.model}' is for classes; take CodedClassifier")

    def _penalty(self) -> Settings:
        return elastic_net(float(self.alpha), self.l1_ratio)
