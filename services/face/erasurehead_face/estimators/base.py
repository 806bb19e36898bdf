"""What the estimators have in common: checks, the fit, and what it leaves."""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.models.coefficients import coefficients
from erasurehead.records import Observer
from erasurehead.registry import Spec
from erasurehead.rows import Target
from erasurehead_face.estimators.callbacks import CallbackSupport, FitCallbacks
from erasurehead_face.estimators.fitting import Fit, fit
from erasurehead_face.running.arguments import Settings
from erasurehead_face.running.arrays import permuted, rows_of, taken
from erasurehead_face.running.handed import Handed, weights_of
from erasurehead_face.running.watching import TerminalProgress

SPARSE = ("csr", "csc", "coo")
MOST_SEEDS = 2**31 - 1


class CodedEstimator(CallbackSupport, BaseEstimator):  # type: ignore[misc]
    """A linear model that is learnt in rounds; subclasses say what labels are."""

    model: str
    fit_intercept: bool
    scheme: str | None
    n_jobs: int | None
    delay: str
    optimizer: str
    max_iter: int
    tol: float
    warm_start: bool
    random_state: Any
    verbose: int

    n_features_in_: int
    coef_: FloatArray
    intercept_: Any

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: sparse matrices are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _learn(
        self,
        data: Handed | str,
        spec: str,
        penalty: Settings,
        callbacks: FitCallbacks,
        begins_with: FloatArray | None = None,
    ) -> None:
        """Learn, and set what every fitted estimator has.

        Parameters
        ----------
        data: rows, or the path of a store.
        spec: the model's text.
        penalty: its settings.
        callbacks: are told of it.
        begins_with: parameters to begin with, shape (n_parameters,), unless the last fit's are;
            None: the model's own start.

        Raises
        ------
        UsageError, RunError: as `fit`.
        KeyboardInterrupt: the fit was interrupted; the estimator has what was learnt so far.
        """
        if not (is_number(self.tol) and self.tol >= 0):
            raise UsageError(
                f"tol={self.tol!r} is no gap; give a number of at least 0, or 0 for all rounds"
            )
        if not isinstance(self.max_iter, Integral):
            raise UsageError(f"max_iter={self.max_iter!r} is no number of rounds; give a whole one")
        given: Settings = {
            **penalty,
            "model": spec,
            "delay": self.delay,
            "optimizer": self.optimizer,
            "rounds": self.max_iter,
            "seed": self._seed(),
        }
        observers: list[Observer] = [callbacks]
        if self.verbose:
            observers.append(TerminalProgress())
        found = fit(
            data,
            given,
            n_jobs=self.n_jobs,
            scheme=self.scheme,
            tol=self.tol,
            begins_with=getattr(self, "_theta", begins_with) if self.warm_start else begins_with,
            observers=observers,
        )
        for name, value in self._fitted(found.model, found.theta).items():
            setattr(self, name, value)
        self.n_iter_ = found.summary.rounds
        self.history_ = found.history
        if found.interrupted:
            raise KeyboardInterrupt(found.summary.reason)
        self._warn_unless_converged(found)
        callbacks.ended()

    def _warn_unless_converged(self, found: Fit) -> None:
        summary = found.summary
        if self.tol > 0 and not summary.met and summary.rounds >= self.max_iter:
            warnings.warn(
                f"the fit ended after max_iter={self.max_iter} rounds before the gap to the minimum"
                f" was below tol={self.tol:g}; raise max_iter, scale the columns, or raise tol",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _fitted(self, model: Model, theta: FloatArray) -> dict[str, Any]:
        """Return the fitted attributes that parameters stand for."""
        coef, intercept = coefficients(model, theta)
        return {
            "coef_": coef,
            "intercept_": intercept,
            "_theta": np.array(theta),
            "_spec": str(model.spec),
        }

    def _spec_of(self, name: str | None = None, **options: Any) -> str:
        """Return the text of the model with an intercept if one is wanted, and further options.

        Raises
        ------
        UsageError: there is no such model, or it has no intercept.
        """
        spec = self._model_spec() if name is None or self.model != "auto" else Spec(name)
        if self.fit_intercept:
            if "intercept" not in MODELS.options(spec.name):
                raise UsageError(
                    f"model '{self.model}' has no intercept; give fit_intercept=False, or another"
                    " model"
                )
            options["intercept"] = "true"
        return str(Spec(spec.name, {**spec.options, **{k: str(v) for k, v in options.items()}}))

    def _model_spec(self) -> Spec:
        """Return the model's name and options as the parameter has them.

        Raises
        ------
        UsageError: it is no text, or not of their form.
        """
        if not isinstance(self.model, str):
            raise UsageError(f"model={self.model!r} is no text; give the name of a model")
        return Spec.parse(self.model)

    def _seed(self) -> int:
        """Return the seed of a fit: 0 where none is given, so that fits can be repeated."""
        if self.random_state is None:
            return 0
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(MOST_SEEDS))

    def _outputs(self, X: Any) -> FloatArray:
        """Return the margins of rows, shape (rows,) or (rows, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, reset=False)
        outputs: FloatArray = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return outputs

    def _learnt(self) -> Model:
        """Return the model of which `coef_` and `intercept_` are the parameters."""
        return MODELS.build(self._spec, self.n_features_in_, None)

    def _handed(
        self, X: Any, labels: FloatArray, target: Target, weights: FloatArray | None
    ) -> Handed:
        """Return checked rows in random order.

        Parameters
        ----------
        labels: in the code of the target, shape (rows,).
        weights: what rows count for, of mean 1; None: one each.
        """
        rows = permuted(replace(rows_of(X, labels), weights=weights), self._seed())
        return Handed(rows, taken(rows, np.arange(0)), target, None)


def is_number(value: object) -> bool:
    """Tell whether a parameter is a real number, which neither a text nor a truth value is."""
    return isinstance(value, Real) and not isinstance(value, bool)


def elastic_net(strength: float, l1_ratio: float) -> Settings:
    """Return the settings of a penalty beside the mean loss.

    Raises
    ------
    UsageError: the share of the L1 norm is not in [0, 1].
    """
    if not (is_number(l1_ratio) and 0 <= l1_ratio <= 1):
        raise UsageError(f"l1_ratio={l1_ratio!r} is no share; give a number from 0 to 1")
    return {"l2": strength * (1 - l1_ratio), "l1": strength * l1_ratio}


def mean_one(weights: FloatArray) -> FloatArray:
    """Return weights, shape (rows,), scaled to a mean of 1, so that no sum of them is out of
    proportion."""
    return np.asarray(weights * (len(weights) / weights.sum()))


def checked_weights(sample_weight: Any, X: Any) -> FloatArray | None:
    """Return the weights of rows, shape (rows,), or None where there are none.

    Raises
    ------
    UsageError: one is negative, or all are 0.
    ValueError: they are not one finite number a row.
    """
    if sample_weight is None:
        return None
    return weights_of(_check_sample_weight(sample_weight, X, dtype=np.float64), X.shape[0])
