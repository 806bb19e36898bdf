"""`eh.CodedClassifier`: linear classification by coded rounds, as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.labels import class_labels
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.rows import Target
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
from erasurehead_face.running.targets import tell_of_lone_classes


def _has_probabilities(estimator: CodedClassifier) -> bool:
    """Return whether the model says how probable classes are."""
    factory = MODELS.factory(estimator._named(2))
    return getattr(factory, "probabilities", None) is not Model.probabilities


class CodedClassifier(ClassifierMixin, CodedEstimator):  # type: ignore[misc]
    """Linear classifier that is learnt by coded, straggler-tolerant rounds.

    It minimises C times the weighted sum of losses plus (1 - l1_ratio)/2 ||w||^2 + l1_ratio
    ||w||_1, as scikit-learn's LogisticRegression does, which it is for ``logistic`` and
    ``softmax``.

    Parameters
    ----------
    model: the loss (docs/models.md): ``auto`` is ``logistic`` for two classes and ``softmax`` for
        more; ``squared-hinge`` has no probabilities.
    C: inverse strength of the penalty, above 0.
    l1_ratio: share of the L1 penalty, from 0 (ridge) to 1 (lasso).
    fit_intercept: whether there is an intercept, which no penalty touches.
    class_weight: what classes count for: a dictionary, ``balanced``, or None.
    scheme: how rows are spread over workers and when a round closes (docs/codes.md); None:
        ``uncoded`` in this process, and the command's default with workers.
    n_jobs: worker processes; None: this process computes alone, as is fastest for small data; -1:
        as many as there are cores.
    delay: stragglers of one's own making, for experiments (docs/settings.md).
    optimizer: what a round's gradient does to the model (docs/settings.md).
    max_iter: rounds at most.
    tol: the estimated share of the way to the minimum that may be left; 0: all rounds are done.
    warm_start: whether a fit begins with what the last one has learnt.
    random_state: seed of the order of rows and of the code; None: 0.
    verbose: whether to show the rounds.

    Attributes
    ----------
    classes_: shape (classes,).
    coef_: shape (1, columns) for two classes, else (classes, columns).
    intercept_: shape (1,) or (classes,).
    n_iter_: rounds that were run.
    n_features_in_, feature_names_in_: of the training rows.
    history_: one record a round.
    """

    classes_: Array

    def __init__(
        self,
        *,
        model: str = "auto",
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
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
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
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
        """Learn from rows and their classes.

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
            self, X, y, accept_sparse=SPARSE, dtype=[np.float64, np.float32], order="C"
        )
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        tell_of_lone_classes(classes, np.bincount(codes), "y")
        weights = self._weights(classes, codes, checked_weights(sample_weight, X))
        counted = codes if weights is None else codes[weights > 0]
        if len(np.unique(counted)) < 2:
            raise DataError(
                f"y has one class, {classes[counted[0]]}, in every row that counts; a classifier"
                " needs two classes at least"
            )
        spec, target = self._model_for(len(classes))
        data = self._handed(
            X,
            class_labels(codes, target),
            target,
            None if weights is None else mean_one(weights),
        )
        self.classes_ = classes
        callbacks = FitCallbacks(self, self.max_iter, X, y, sample_weight, self._attributes)
        self._learn(
            data, spec, self._penalty(len(y) if weights is None else weights.sum()), callbacks
        )
        return self

    def _fit_store(self, path: str, y: Any, sample_weight: Any) -> Self:
        if y is not None or sample_weight is not None:
            raise UsageError(
                f"y or sample_weight is given beside the store {path}, which has its own; leave it"
                " out, or give a matrix for X"
            )
        manifest = Store.open(path).manifest
        if manifest.target == "numbers":
            raise DataError(
                f"the labels of {path} are numbers, and a classifier needs classes; prepare the"
                " data with labels=classes, or take CodedRegressor"
            )
        self.classes_ = np.array(manifest.classes or ("-1", "+1"))
        self.n_features_in_ = manifest.columns
        spec, _ = self._model_for(len(self.classes_))
        callbacks = FitCallbacks(self, self.max_iter, path, None, None, self._attributes)
        self._learn(path, spec, self._penalty(manifest.rows), callbacks)
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return the margins: of the second of two classes, shape (rows,), or of each class."""
        outputs = self._outputs(X)
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict(self, X: Any) -> Array:
        """Return the class of each row, shape (rows,)."""
        margins = self.decision_function(X)
        codes = (margins > 0).astype(np.intp) if margins.ndim == 1 else margins.argmax(axis=1)
        return np.asarray(self.classes_[codes])

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class, shape (rows, classes)."""
        margins = self.decision_function(X)
        found = self._learnt().probabilities(margins)
        assert found is not None
        return found

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> FloatArray:
        """Return the logarithms of the probabilities, shape (rows, classes)."""
        return np.asarray(np.log(self.predict_proba(X)))

    def _attributes(self, theta: FloatArray) -> dict[str, Any]:
        spec, _ = self._model_for(len(self.classes_))
        return self._fitted(MODELS.build(spec, self.n_features_in_, None), theta)

    def _fitted(self, model: Model, theta: FloatArray) -> dict[str, Any]:
        fitted = super()._fitted(model, theta)
        if fitted["coef_"].ndim == 1:
            fitted["coef_"] = fitted["coef_"][np.newaxis]
            fitted["intercept_"] = np.array([fitted["intercept_"]])
        return fitted

    def _check_parameters(self) -> None:
        if not (is_number(self.C) and self.C > 0):
            raise UsageError(f"C={self.C!r} is no inverse strength; give a number above 0")

    def _model_for(self, n_classes: int) -> tuple[str, Target]:
        """Return the model's text for so many classes, and the code of its labels."""
        name = self._named(n_classes)
        target: Target = getattr(MODELS.factory(name), "target", "numbers")
        if target == "numbers":
            raise UsageError(
                f"model '{self.model}' is for numbers; take CodedRegressor, or model='auto'"
            )
        if target == "two classes" and n_classes != 2:
            raise DataError(
                f"y has {n_classes} classes, and model '{self.model}' tells two apart; take"
                " model='softmax' or model='auto'"
            )
        if "classes" in MODELS.options(name):
            return self._spec_of(name, classes=n_classes), target
        return self._spec_of(name), target

    def _named(self, n_classes: int) -> str:
        """Return the name of the model for so many classes."""
        if self.model == "auto":
            return "logistic" if n_classes == 2 else "softmax"
        return self._model_spec().name

    def _penalty(self, weight: float) -> Settings:
        return elastic_net(1.0 / (self.C * weight), self.l1_ratio)

    def _weights(
        self, classes: Array, codes: Array, weights: FloatArray | None
    ) -> FloatArray | None:
        """Return what rows count for, with the weights of their classes."""
        if self.class_weight is None:
            return weights
        each = np.ones(len(codes)) if weights is None else weights
        if self.class_weight == "balanced":
            # As if rows were repeated by their weights.
            counts = np.bincount(codes, each, len(classes))
            of_class = each.sum() / (len(classes) * np.where(counts > 0, counts, 1.0))
        else:
            of_class = compute_class_weight(self.class_weight, classes=classes, y=classes[codes])
        strange = ~(np.isfinite(of_class) & (of_class >= 0))
        if strange.any():
            raise UsageError(
                f"class_weight gives the class {classes[strange][0]} the weight"
                f" {of_class[strange][0]:g}; give finite numbers of at least 0"
            )
        weights = np.asarray(each * of_class[codes])
        if not weights.any():
            raise UsageError("class_weight leaves no row that counts; give one class at least more")
        return weights
