"""Models that are defined in a test alone train, are scored and predict like those we have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.store import Store, write_store
from erasurehead.errors import UsageError
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.models.rows import pieces
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.rows import CsrRows
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.main import main
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.virtual_run import simulate
from tests.support.toy_models import Network, Softmax
from tests.support.virtual_run import make_virtual, some_rows

COLUMNS, CLASSES = 40, 3


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {name: MODELS.factory(name) for name in MODELS}
    toys: dict[str, Callable[..., Model]] = {Softmax.name: Softmax, Network.name: Network}
    monkeypatch.setattr(MODELS, "_entries", {**ours, **toys})


def rows_of_classes(n_rows: int, seed: int) -> CsrRows:
    """Return rows of four ones each; the classes are the largest of planted sums."""
    rng = np.random.default_rng(seed)
    indices = np.stack([np.sort(rng.permutation(COLUMNS)[:4]) for _ in range(n_rows)])
    planted = np.random.default_rng(7).standard_normal((CLASSES, COLUMNS))
    labels = planted[:, indices].sum(axis=2).argmax(axis=0).astype(np.float64)
    indptr = np.arange(0, 4 * n_rows + 1, 4)
    return CsrRows(indptr, indices.ravel().astype(np.int32), None, labels, COLUMNS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made_up = Provenance("made up", "0" * 64, "made-up-1")
    train, test = rows_of_classes(120, 1), rows_of_classes(60, 2)
    return write_store(tmp_path / "toys", "toys", "classes", train, test, made_up)


def descent(
    model: Model, rows: CsrRows, start: FloatArray, rounds: int, step: float, l2: float = 0.0
) -> FloatArray:
    """Return what plain gradient descent on all rows in one place comes to."""
    (whole,) = pieces(rows, len(rows.labels))
    penalised = np.ones(model.n_parameters)
    penalised[model.unpenalised] = 0.0
    theta = start.copy()
    for _ in range(rounds):
        ((_, gradient),) = model.sums(whole, theta, [None])
        theta = theta - step * (gradient / len(rows.labels) + l2 * penalised * theta)
    return theta


class Watch(Observer):
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def started(self, start: RunStart) -> None:
        self.start = start

    def round_over(self, record: RoundRecord) -> None:
        self.last = record
        self.losses.append(record.train_loss)

    def model(self, theta: FloatArray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()


@pytest.mark.parametrize("scheme", ["uncoded", "egc:c=2", "cyclic-mds:s=1"])
def test_a_softmax_trains(store: Store, scheme: str) -> None:
    """Its number of classes comes from the labels, and reaches the workers in its spec; the penalty
    leaves its intercepts alone."""
    given = {"store": str(store.path), "scheme": scheme, "workers": 6, "rounds": 60, "step": "1"}
    given |= {"model": "toy-softmax", "l2": 0.01}
    watch = Watch()
    simulate(load(RunSettings, given, environment={}), [watch], pass_s=1.0)
    assert watch.start.model == "toy-softmax:classes=3"
    model = Softmax(COLUMNS, classes=CLASSES)
    start = model.start(np.random.default_rng((0, 0x57A7)))
    expected = descent(model, store.train, start, 60, 1.0, l2=0.01)
    np.testing.assert_allclose(watch.theta, expected, rtol=1e-9, atol=1e-12)
    assert set(watch.last.metrics) == {"accuracy"}
    assert watch.last.metrics["accuracy"] > 0.7
    assert watch.last.train_loss < 0.7 * np.log(CLASSES)


def run_all(cluster: VirtualCluster) -> None:
    for i in range(cluster.machine.plan.code.n_workers):
        cluster.start(f"w{i}", i)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == 0


def test_parameters_of_several_classes_travel_on_the_support_only() -> None:
    cluster = make_virtual(
        rows_of_classes(120, 1), model=Softmax.name, scheme="uncoded", workers=40, rounds=3
    )
    run_all(cluster)
    plan, supports = cluster.machine.plan, cluster.machine.training.supports
    assert plan.n_parameters == CLASSES * (COLUMNS + 1)
    for slot in range(40):
        support = supports[slot]
        assert support is not None
        weights = support[support < CLASSES * COLUMNS]
        by_class = weights.reshape(CLASSES, -1) - COLUMNS * np.arange(CLASSES)[:, np.newaxis]
        assert (by_class == by_class[0]).all()
        assert by_class.shape[1] < COLUMNS
        assert support[len(weights) :].tolist() == [120, 121, 122]  # every slot has the intercepts


def test_a_network_starts_from_the_seed_and_trains_on_all_parameters() -> None:
    rows = some_rows()
    cluster = make_virtual(
        rows, model="toy-network:hidden=4", scheme="uncoded", workers=20, rounds=50, step="0.05"
    )
    run_all(cluster)
    plan = cluster.machine.plan
    assert all(cluster.machine.training.supports[slot] is None for slot in range(20))
    model = Network(rows.n_columns, hidden=4)
    assert plan.n_parameters == model.n_parameters == 4 * (rows.n_columns + 1)
    start = model.start(np.random.default_rng((0, 0x57A7)))
    (whole,) = pieces(rows, len(rows.labels))
    ends = [
        model.sums(whole, descent(model, rows, start, rounds, 0.05), [None])[0][0] / 60
        for rounds in (0, 49)
    ]
    losses = [record.train_loss for record in cluster.records]
    np.testing.assert_allclose([losses[0], losses[-1]], ends, rtol=1e-9)
    assert losses[-1] < 0.5 * losses[0]


def test_an_automatic_step_needs_a_bound_of_the_curvature(store: Store) -> None:
    """The softmax has one, and its loss never rises; the network has none."""
    given = {"store": str(store.path), "scheme": "uncoded", "workers": 6, "rounds": 30}
    given["optimizer"] = "gradient-descent"
    watch = Watch()
    simulate(load(RunSettings, given, environment={}), [watch], pass_s=1.0)
    assert watch.losses == sorted(watch.losses, reverse=True)
    assert watch.losses[-1] < watch.losses[0]
    network = load(RunSettings, {**given, "model": Network.name}, environment={})
    with pytest.raises(UsageError, match="the curvature of toy-network:hidden=3 has no bound"):
        simulate(network, [], pass_s=1.0)


def test_classes_are_predicted_with_their_probabilities(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = ["--workers", "4", "--scheme", "uncoded", "--rounds", "60", "--step", "1", "-q"]
    arguments += ["--pass-s", "1", "--no-figures", "--out", str(run), "--model", "toy-softmax"]
    assert main(["simulate", str(store.path), *arguments]) == 0
    capsys.readouterr()
    assert main(["predict", str(run), str(store.path)]) == 0
    told, _ = capsys.readouterr().out.splitlines()
    accuracy = float(told.removeprefix("accuracy="))
    header, *lines = (run / "predictions.csv").read_text().splitlines()
    told_of = [f"{what} of {k}" for what in ("margin", "probability") for k in range(CLASSES)]
    assert header.split(",") == ["label", "class", *told_of]
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    assert np.mean(table[:, 0] == table[:, 1]) == pytest.approx(accuracy, rel=1e-5)
    np.testing.assert_allclose(table[:, -CLASSES:].sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (lambda: Softmax(COLUMNS, classes=CLASSES), rows_of_classes(20, 3)),
        (lambda: Network(8), some_rows().rows(0, 20)),
    ],
)
def test_the_toys_are_right(make: Callable[[], Model], rows: CsrRows) -> None:
    """Their gradients are the differences of their losses."""
    model = make()
    theta = np.random.default_rng(5).standard_normal(model.n_parameters)
    (whole,) = pieces(rows, 20)

    def loss(at: FloatArray) -> float:
        return float(model.losses(model.outputs(whole, at), whole.labels).sum())

    ((found, gradient),) = model.sums(whole, theta, [None])
    assert found == pytest.approx(loss(theta))
    for i in range(0, model.n_parameters, 7):
        nudge = np.zeros(model.n_parameters)
        nudge[i] = 1e-6
        slope = (loss(theta + nudge) - loss(theta - nudge)) / 2e-6
        assert gradient[i] == pytest.approx(slope, abs=1e-6)
