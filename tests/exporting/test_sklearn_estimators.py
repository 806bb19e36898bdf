"""Estimators of scikit-learn predict what our models predict, to rounding."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import UsageError
from erasurehead.exporting import EXPORTS
from erasurehead.exporting.base import Learnt
from erasurehead.exporting.sklearn import COUNTERPARTS, sklearn_estimator
from erasurehead.models import MODELS, specified
from erasurehead.models.linear import LinearModel
from erasurehead.models.rows import Piece

joblib = pytest.importorskip("joblib", reason="scikit-learn is not installed")

MODEL_OF = {
    "softmax": "softmax:classes=3",
    "huber": "huber:delta=0.7",
    "tweedie": "tweedie:power=1.4",
}
NAMES = np.array(["zebra", "ant", "mole"])
X: FloatArray = np.random.default_rng(1).normal(size=(50, 4))


def learnt(spec: str, classes: Array | None = None, *, intercept: bool = True) -> Learnt:
    """Return a model with parameters that are drawn."""
    model = MODELS.build(specified(spec, intercept), X.shape[1], None)
    return Learnt(model, np.random.default_rng(2).normal(size=model.n_parameters), classes)


def outputs(of: Learnt) -> FloatArray:
    return of.model.outputs(Piece(X, X.T, np.zeros(len(X))), of.theta)


def test_every_model_that_is_linear_has_an_estimator() -> None:
    assert set(COUNTERPARTS) == set(MODELS) - {"torch"}


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", COUNTERPARTS)
def test_an_estimator_predicts_what_the_model_predicts(name: str, intercept: bool) -> None:
    spec = MODEL_OF.get(name, name)
    target = MODELS.build(specified(spec, False), 1, None).target
    known = {"numbers": None, "two classes": NAMES[:2], "classes": NAMES}[target]
    ours = learnt(spec, known, intercept=intercept)
    estimator = sklearn_estimator(ours)
    assert estimator.n_features_in_ == 4
    found = ours.model.predictions(outputs(ours), () if known is None else known.tolist())
    if known is None:
        np.testing.assert_allclose(estimator.predict(X), found["prediction"], rtol=1e-12)
        return
    assert estimator.predict(X).tolist() == found["class"].tolist()
    assert estimator.classes_.tolist() == sorted(known)
    if name == "squared-hinge":
        margins = -outputs(ours)  # of the zebra, the second in the order of the alphabet
        np.testing.assert_allclose(estimator.decision_function(X), margins, rtol=1e-12)
        return
    chances = estimator.predict_proba(X)
    for i, label in enumerate(estimator.classes_):
        np.testing.assert_allclose(chances[:, i], found[f"probability of {label}"], rtol=1e-10)


def test_a_softmax_of_two_classes_is_a_binary_estimator() -> None:
    ours = learnt("softmax:classes=2", NAMES[:2])
    estimator = sklearn_estimator(ours)
    assert estimator.coef_.shape == (1, 4)
    chances = ours.model.probabilities(outputs(ours))
    assert chances is not None
    np.testing.assert_allclose(estimator.predict_proba(X), chances[:, ::-1], rtol=1e-10)


@pytest.mark.parametrize(
    ("spec", "labels"), [("logistic", [-1.0, 1.0]), ("softmax:classes=3", [0, 1, 2])]
)
def test_classes_without_names_are_called_by_their_labels(spec: str, labels: list[float]) -> None:
    assert sklearn_estimator(learnt(spec)).classes_.tolist() == labels


def test_the_scale_of_huber_s_estimator_has_its_line_at_delta() -> None:
    estimator = sklearn_estimator(learnt("huber:delta=0.7"))
    assert estimator.epsilon * estimator.scale_ == pytest.approx(0.7)


class Odd(LinearModel):
    """A model of a plug-in, say."""

    name = "odd"
    target = "numbers"

    def loss_and_derivative(self, margins: Any, labels: Any) -> tuple[FloatArray, FloatArray]:
        return margins, np.ones_like(margins)


def test_a_model_without_an_estimator_is_refused_in_a_sentence() -> None:
    with pytest.raises(UsageError, match="no estimator for the model odd; it has one for logistic"):
        sklearn_estimator(Learnt(Odd(2), np.zeros(2)))
    with pytest.raises(UsageError, match=r"unknown export format 'sklaern'.*'sklearn'"):
        EXPORTS.build("sklaern")


def test_a_file_is_known_again() -> None:
    export, file = EXPORTS.build("sklearn"), BytesIO()
    export.write(learnt("poisson"), file)
    file.seek(0)
    assert export.is_ours(file)
    file.seek(0)
    ours = learnt("poisson")
    np.testing.assert_array_equal(joblib.load(file).coef_, sklearn_estimator(ours).coef_)
    assert not export.is_ours(BytesIO(b"a table\n"))
