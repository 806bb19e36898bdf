"""What every model promises, against sums over rows, differences of losses and dense Hessians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import random_array

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models import MODELS, specified
from erasurehead.models.base import Model
from erasurehead.models.partial_sums import PartialSumsBuilder
from erasurehead.models.rows import Piece, pieces
from erasurehead.models.scoring import mean_loss
from erasurehead.models.weighing import total_weight, weights_of
from erasurehead.registry import Spec
from erasurehead.rows import CsrRows

ROWS, COLUMNS = 40, 6

SPECS = {
    "logistic": "two classes",
    "logistic:class_weight=0.5/3": "two classes",
    "least-squares": "numbers",
    "squared-hinge": "two classes",
    "huber:delta=0.75": "numbers",
    "poisson": "numbers",
    "gamma": "positive",
    "tweedie:power=1.5": "numbers",
    "softmax": "classes",
    "softmax:class_weight=balanced": "classes",
}


def some_rows(target: str, seed: int = 0) -> CsrRows:
    rng = np.random.default_rng(seed)
    X = random_array((ROWS, COLUMNS), density=0.4, format="csr", rng=rng)
    labels = {
        "two classes": rng.choice([-1.0, 1.0], ROWS),
        "classes": np.append(rng.integers(0, 3, ROWS - 3), [0, 1, 2]).astype(np.float64),
        "numbers": np.append(rng.poisson(1.0, ROWS - 2), [0.5, 3.0]),
        "positive": rng.gamma(2.0, 1.0, ROWS),
    }[target]
    return CsrRows(X.indptr, X.indices, X.data, labels, COLUMNS)


@pytest.fixture(params=[False, True], ids=["plain", "intercept"])
def intercept(request: pytest.FixtureRequest) -> bool:
    found: bool = request.param
    return found


@pytest.fixture(params=list(SPECS))
def spec(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def rows(spec: str) -> CsrRows:
    return some_rows(SPECS[spec])


@pytest.fixture
def model(spec: str, rows: CsrRows, intercept: bool) -> Model:
    return MODELS.build(specified(spec, intercept), COLUMNS, rows.labels)


def whole(rows: CsrRows) -> Piece:
    (piece,) = pieces(rows, len(rows.labels))
    return piece


def loss_sum(model: Model, piece: Piece, theta: FloatArray, weights: FloatArray | None) -> float:
    losses = model.losses(model.outputs(piece, theta), piece.labels)
    return float(losses.sum() if weights is None else weights @ losses)


def gradient(model: Model, piece: Piece, theta: FloatArray) -> FloatArray:
    ((_, found),) = model.sums(piece, theta, [None])
    return found


def points(model: Model, n: int) -> list[FloatArray]:
    rng = np.random.default_rng(7)
    return [scale * rng.standard_normal(model.n_parameters) for scale in np.linspace(0, 2, n)]


def test_all_models_are_looked_at() -> None:
    """Torch modules are in `test_torch_module.py`."""
    assert {spec.partition(":")[0] for spec in SPECS} == set(MODELS) - {"torch"}


def test_a_worker_makes_the_masters_model_from_its_spec(model: Model) -> None:
    """The master knows the training labels, a worker only what ASSIGN says."""
    theirs = MODELS.build(str(model.spec), COLUMNS, None)
    assert (theirs.spec, theirs.n_parameters) == (model.spec, model.n_parameters)
    labels = some_rows("classes" if model.target == "classes" else "two classes").labels
    own, other = model.row_weights(labels), theirs.row_weights(labels)
    assert (own is None) == (other is None)
    if own is not None:
        np.testing.assert_array_equal(own, other)
    assert model.start(np.random.default_rng(0)).shape == (model.n_parameters,)


def test_gradients_are_differences_of_losses(model: Model, rows: CsrRows) -> None:
    """For each weighting of the rows, all at once."""
    rng, piece = np.random.default_rng(3), whole(rows)
    weights, h = rng.uniform(-1, 2, ROWS), 1e-6
    for point in points(model, 3):
        theta = point + 0.01
        for given, (loss, found) in zip(
            [None, weights], model.sums(piece, theta, [None, weights]), strict=True
        ):
            assert loss == pytest.approx(loss_sum(model, piece, theta, given), rel=1e-12)
            ways = np.eye(model.n_parameters) * h
            slopes = [
                loss_sum(model, piece, theta + way, given)
                - loss_sum(model, piece, theta - way, given)
                for way in ways
            ]
            np.testing.assert_allclose(found, np.array(slopes) / (2 * h), rtol=1e-5, atol=1e-6)


def test_the_bound_is_above_the_hessian_everywhere(model: Model, rows: CsrRows) -> None:
    """And `curvature_diagonal` is its diagonal."""
    piece, h = whole(rows), 1e-5
    weights = np.random.default_rng(2).uniform(0, 2, ROWS)
    squares = rows.column_squares(weights)
    assert model.measured
    diagonal = model.curvature_diagonal(squares, float(weights.sum()))
    if not model.bounded:
        assert (diagonal > 0).all()
        return
    ways = np.eye(model.n_parameters)
    bound = np.array([model.curvature_times(piece, way, None) for way in ways])
    np.testing.assert_allclose(bound, bound.T, atol=1e-10)
    for theta in points(model, 6):
        hessian = np.array(
            [
                (gradient(model, piece, theta + h * way) - gradient(model, piece, theta - h * way))
                / (2 * h)
                for way in ways
            ]
        )
        assert np.linalg.eigvalsh(bound - (hessian + hessian.T) / 2)[0] > -1e-6
    weighed = np.array([model.curvature_times(piece, way, weights) for way in ways])
    np.testing.assert_allclose(np.diag(weighed), diagonal, rtol=1e-10)


def test_weights_are_as_rows_that_come_several_times(model: Model, rows: CsrRows) -> None:
    counts = np.random.default_rng(4).integers(0, 4, ROWS)
    repeated = rows.matrix()[np.repeat(np.arange(ROWS), counts)]
    labels = np.repeat(rows.labels, counts)
    many = CsrRows(repeated.indptr, repeated.indices, repeated.data, labels, COLUMNS)
    weighed = replace(rows, weights=counts.astype(np.float64))
    theta = points(model, 3)[1]
    assert mean_loss(weighed, model, theta) == pytest.approx(mean_loss(many, model, theta))
    assert total_weight(model, weighed) == pytest.approx(total_weight(model, many))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_worker_sums_over_weighed_rows_on_their_support(
    model: Model, rows: CsrRows, *, sparse: bool
) -> None:
    """Two tasks of some columns each, with weights, offsets and coefficients of a code."""
    rng = np.random.default_rng(5)
    matrix = rows.matrix().toarray()
    matrix[:, 1] = 0.0
    if sparse:
        matrix[:, 0] = 0.0
        matrix[0] = 0.0
    nonzero = matrix != 0
    indptr = np.append(0, nonzero.sum(axis=1).cumsum())
    offsets = rng.standard_normal(ROWS) if model.takes_offsets else None
    given = CsrRows(
        indptr,
        np.nonzero(matrix)[1].astype(np.int32),
        matrix[nonzero],
        rows.labels,
        COLUMNS,
        weights=rng.choice([0.0, 1.0, 2.5], ROWS),
        offsets=offsets,
    )
    coefficients = np.array([[[2.0, -0.5]]])
    builder = PartialSumsBuilder(model, coefficients, 1.0)
    builder.add(0, given.rows(0, 15))
    builder.add(1, given.rows(15, ROWS))
    sums = builder.finish()
    theta = points(model, 3)[2]
    support = np.arange(model.n_parameters) if sums.support is None else sums.support
    assert (np.diff(support) > 0).all()
    assert len(support) < model.n_parameters
    work = sums.gradient(0, theta[support], 1)
    while not work.advance():
        pass
    weights = weights_of(model, given)
    assert weights is not None
    weights *= np.repeat([2.0, -0.5], [15, ROWS - 15])
    ((loss, expected),) = model.sums(whole(given), theta, [weights])
    assert work.loss[0] == pytest.approx(loss)
    found = np.zeros(model.n_parameters)
    found[support] = work.values[0]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_offsets_are_added_to_margins() -> None:
    rows = some_rows("numbers")
    shifted = replace(rows, offsets=np.full(ROWS, 0.75))
    model = MODELS.build("least-squares:intercept=true", COLUMNS, None)
    theta = points(model, 2)[1]
    with_intercept = theta + np.append(np.zeros(COLUMNS), 0.75)
    assert mean_loss(shifted, model, theta) == pytest.approx(mean_loss(rows, model, with_intercept))


def test_a_function_of_a_module_may_be_named_without_a_key() -> None:
    spec = Spec.parse("torch:package.module:build,classes=3")
    assert spec == Spec("torch", {"build": "package.module:build", "classes": "3"})
    assert Spec.parse(str(spec)) == spec


def test_margins_without_measure_neither_overflow_nor_end_in_nan() -> None:
    """A step that leads far off ends a run by its loss, not by a warning of numpy's."""
    margins = np.array([-1e5, -800.0, 800.0, 1e5])
    for spec in ("poisson", "gamma", "tweedie:power=1.5"):
        model = MODELS.build(spec, 1, None)
        for labels in (np.full(4, 2.0), np.zeros(4)):
            loss, derivative = model.loss_and_derivative(margins, labels)  # type: ignore[attr-defined]
            assert np.isfinite(loss).all()
            assert np.isfinite(derivative).all()


@pytest.mark.parametrize(
    ("spec", "labels", "refusal"),
    [
        ("poisson", [0.0, 2.0, -1.0], "it needs finite numbers of at least 0"),
        ("poisson", [0.0, np.nan], "it needs finite numbers of at least 0"),
        ("poisson", [0.0, 2.5], None),
        ("tweedie:power=1.5", [0.0, 2.5], None),
        ("gamma", [1.0, 0.0], "it needs numbers above 0"),
        ("gamma", [1.0, -2.0], "it needs finite numbers above 0"),
        ("squared-hinge", [0.0, 1.0], "it needs two classes, -1 and +1"),
        ("softmax:classes=3", [0.0, 3.0], "it needs classes numbered 0 to 2"),
        ("softmax:classes=3", [0.0, 0.5], "it needs classes numbered 0 to 2"),
        ("huber:delta=1", [np.inf], "it needs finite numbers"),
    ],
)
def test_labels_that_do_not_suit(spec: str, labels: list[float], refusal: str | None) -> None:
    assert MODELS.build(spec, 1, None).refusal(np.array(labels)) == refusal


def test_balanced_classes_count_alike() -> None:
    labels = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 2.0])
    model = MODELS.build("softmax:class_weight=balanced", 1, labels)
    weights = model.row_weights(labels)
    assert weights is not None
    np.testing.assert_allclose(np.bincount(labels.astype(int), weights), [2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("logistic", [-1.0, -1.0, 1.0, 1.0, 1.0]),
        ("squared-hinge", [-1.0, -1.0, 1.0, 1.0, 1.0]),
        ("softmax", [0.0, 1.0, 1.0, 2.0, 2.0]),
    ],
)
def test_balanced_classes_count_rows_as_often_as_they_weigh(name: str, labels: list[float]) -> None:
    y, weights = np.array(labels), np.array([3, 1, 0, 2, 1])
    weighed = MODELS.build(f"{name}:class_weight=balanced", 1, y)
    weighed.count_rows(y, weights.astype(np.float64))
    repeated = MODELS.build(f"{name}:class_weight=balanced", 1, np.repeat(y, weights))
    assert weighed.spec == repeated.spec
    of_class = weighed.row_weights(y)
    assert of_class is not None
    totals = [float((weights * of_class)[y == label].sum()) for label in np.unique(y)]
    assert totals == pytest.approx([7 / len(totals)] * len(totals))
    given = MODELS.build(str(weighed.spec), 1, None)
    given.count_rows(y, weights.astype(np.float64))
    assert given.spec == weighed.spec


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("softmax", "softmax needs the number of classes; write softmax:classes=3"),
        ("softmax:classes=1", "softmax takes 2 to 10,000 classes, and 1 are asked for"),
        ("softmax:classes=70000", "and 70,000 are asked for; take least-squares"),
        ("softmax:classes=3,class_weight=1/2", "not a number of at least 0 for each of 3 classes"),
        ("logistic:class_weight=1/-2", "class_weight=1/-2 is not a number of at least 0"),
        ("logistic:class_weight=0/0", "class_weight=0/0 is not"),
        ("logistic:class_weight=a/b", "or class_weight=balanced"),
        ("logistic:class_weight=balanced", "needs the training rows"),
        ("huber", "model 'huber' needs delta; write for example huber:delta="),
        ("huber:delta=0", "delta=0 of model huber must be above 0"),
        ("tweedie:power=0", "power=0 of model tweedie is not from 1 .* take least-squares"),
    ],
)
def test_what_no_model_can_be_is_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        MODELS.build(spec, 2, None)


@pytest.mark.parametrize(
    ("spec", "labels", "lacking"),
    [
        ("logistic", [1.0, 1.0], "is of the class -1"),
        ("logistic", [-1.0, -1.0], "is of the class +1"),
        ("logistic", [-1.0, 1.0], None),
        ("softmax:classes=3", [0.0, 2.0], "is of the class 1"),
        ("softmax:classes=3", [0.0, 2.0, 1.0], None),
        ("poisson", [0.0, 0.0], "has a label above 0"),
        ("poisson", [0.0, 0.1], None),
        ("tweedie:power=1.5", [0.0, 0.0], "has a label above 0"),
        ("tweedie:power=1.5", [0.0, 0.1], None),
        ("gamma", [2.0, 2.0], None),
        ("least-squares", [0.0, 0.0], None),
        ("huber:delta=0.5", [0.0, 0.0], None),
    ],
)
def test_a_model_knows_when_nothing_holds_its_intercept(
    spec: str, labels: list[float], lacking: str | None
) -> None:
    """Against the losses: where one falls on and on in the direction of an intercept."""
    model, y = MODELS.build(specified(spec, True), 1, None), np.array(labels)
    assert model.lacks(y) == lacking
    X = np.zeros((len(y), 1))

    def loss(parameter: int, value: float) -> float:
        theta = np.zeros(model.n_parameters)
        theta[parameter] = value
        return loss_sum(model, Piece(X, X.T, y), theta, None)

    rays = [(p, sign) for p in model.unpenalised for sign in (-1.0, 1.0)]
    falls = [loss(p, 20 * sign) < loss(p, 10 * sign) for p, sign in rays]
    assert any(falls) == (lacking is not None)
    assert MODELS.build(spec, 1, None).lacks(y) is None


def test_what_is_lacking_is_called_by_its_name() -> None:
    names = ["red", "green", "blue"]
    softmax = MODELS.build("softmax:classes=3,intercept=true", 1, None)
    assert softmax.lacks(np.array([0.0, 1.0]), names) == "is of the class blue"
    hinge = MODELS.build("squared-hinge:intercept=true", 1, None)
    assert hinge.lacks(np.array([1.0]), names[:2]) == "is of the class red"
