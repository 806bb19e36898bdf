"""Torch modules as models, where torch is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.models.rows import pieces
from erasurehead.models.torch_module import BUILDS, torch_build, with_loss
from erasurehead.registry import Spec
from erasurehead.rows import CsrRows
from erasurehead.settings.plugins import load_plugins, loaded_plugins
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.virtual_run import make_master

torch = pytest.importorskip("torch")
nn = torch.nn


@torch_build
def network(n_columns: int) -> tuple[Any, Any]:
    """Three classes by two layers."""
    module = nn.Sequential(nn.Linear(n_columns, 4), nn.Tanh(), nn.Linear(4, 3))
    return module, lambda m, y: nn.functional.cross_entropy(m, y.long(), reduction="none")


@torch_build
def tied_and_frozen(n_columns: int) -> tuple[Any, Any]:
    """Numbers; the first layer is frozen, the next two share their weights."""
    first, second, third = nn.Linear(n_columns, 3), nn.Linear(3, 3), nn.Linear(3, 3)
    third.weight = second.weight
    for parameter in first.parameters():
        parameter.requires_grad_(False)
    layers = (first, nn.Tanh(), second, nn.Tanh(), third, nn.Linear(3, 1))
    return nn.Sequential(*layers), lambda m, y: (m - y) ** 2


@torch_build
def convolutional(n_columns: int) -> tuple[Any, Any]:
    """Numbers, from rows of the shape 1 x 5."""
    module = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 1))
    return module, lambda m, y: (m - y) ** 2


def built(layer: Any, loss: Any = lambda m, y: (m - y) ** 2) -> Any:
    return lambda n_columns: (nn.Sequential(nn.Linear(n_columns, 1), layer), loss)


HERE = __name__


@pytest.fixture(autouse=True)
def builds() -> Iterator[None]:
    """Take the functions away that a test has marked."""
    before = dict(BUILDS)
    yield
    BUILDS.clear()
    BUILDS.update(before)


def some_rows(n: int = 60) -> CsrRows:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5))
    labels = (X[:, 0] > 0.5) + 1.0 * (X[:, 0] + X[:, 1] ** 2 > 0.5)
    indptr, indices = np.arange(0, 5 * n + 1, 5), np.tile(np.arange(5, dtype=np.int32), n)
    return CsrRows(indptr, indices, X.ravel(), labels, 5)


def model_of(function: str, **options: str) -> Model:
    return MODELS.build(Spec("torch", {"build": f"{HERE}:{function}", **options}), 5, None)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("network", {"classes": "3"}),
        ("tied_and_frozen", {}),
        ("convolutional", {"shape": "1x5"}),
    ],
)
def test_gradients_are_differences_of_losses(function: str, options: dict[str, str]) -> None:
    model, rows = model_of(function, **options), some_rows()
    (whole,) = pieces(rows, 60)
    rng = np.random.default_rng(1)
    theta, weights, h = model.start(rng), rng.uniform(-1, 2, 60), 1e-6
    expected = {
        "network": 5 * 4 + 4 + 4 * 3 + 3,
        "tied_and_frozen": 9 + 3 + 3 + 3 + 1,
        "convolutional": 2 * 3 + 2 + 6 + 1,
    }
    assert len(theta) == model.n_parameters == expected[function]

    def losses(at: Any) -> Any:
        return model.losses(model.outputs(whole, at), whole.labels)

    found = model.sums(whole, theta, [None, weights])
    for (loss, gradient), given in zip(found, (np.ones(60), weights), strict=True):
        assert loss == pytest.approx(given @ losses(theta))
        ways = h * np.eye(len(theta))
        slopes = [given @ (losses(theta + w) - losses(theta - w)) / (2 * h) for w in ways]
        np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)


def test_a_worker_makes_the_masters_model_and_threads_are_left_alone() -> None:
    """Also what is frozen, whatever was drawn before."""
    ours = model_of("tied_and_frozen")
    torch.manual_seed(99)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    theirs = MODELS.build(str(ours.spec), 5, None)
    (whole,) = pieces(some_rows(), 60)
    theta = ours.start(np.random.default_rng(2))
    np.testing.assert_array_equal(theta, theirs.start(np.random.default_rng(2)))
    np.testing.assert_array_equal(ours.outputs(whole, theta), theirs.outputs(whole, theta))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: built(nn.BatchNorm1d(1)), "has the buffer '1.running_mean', which changes"),
        (lambda: built(nn.Dropout(0.5)), "gives two outputs on the same rows"),
        (lambda: built(nn.Identity(), lambda m, y: ((m - y) ** 2).mean()), "has a loss of shape"),
        (lambda: built(nn.Linear(7, 1)), "fails on two rows: RuntimeError"),
        (lambda: lambda n_columns: 1 / 0, "fails: ZeroDivisionError: division by zero"),
        (
            lambda: lambda n: (nn.Identity(), lambda m, y: m.sum(1)),
            "has no parameter that requires",
        ),
    ],
)
def test_what_cannot_be_learnt_from_coded_sums_is_one_sentence(build: Any, words: str) -> None:
    function = build()
    function.__module__, function.__qualname__ = HERE, "refused"
    torch_build(function)
    with pytest.raises(UsageError, match=f"the torch module of {HERE}:refused {words}"):
        model_of("refused")


def test_only_marked_functions_can_be_named() -> None:
    with pytest.raises(UsageError, match=r"there is no function os:_exit here .* @torch_build"):
        MODELS.build("torch:os:_exit", 5, None)


def plain(n_columns: int) -> tuple[Any, Any]:
    """A function without a mark."""
    return nn.Linear(n_columns, 1), lambda m, y: (m - y) ** 2


def test_a_user_lets_a_function_run_by_naming_it() -> None:
    """In settings that are a user's own, and as a plug-in; not in what a run has recorded."""
    text = f"torch:{HERE}:plain"
    given = {"store": "made-up", "model": text}
    load(RunSettings, given, environment={}, recorded=True)
    assert f"{HERE}:plain" not in BUILDS
    load(RunSettings, given, environment={})
    assert BUILDS[f"{HERE}:plain"] is plain
    assert f"{HERE}:plain" in loaded_plugins(), "workers of this process may run it, too"
    assert MODELS.build(text, 5, None).n_parameters == 6
    BUILDS.clear()
    load_plugins([f"{HERE}:plain"])
    assert BUILDS[f"{HERE}:plain"] is plain
    with pytest.raises(UsageError, match="has no function nothing; name one"):
        load(RunSettings, {**given, "model": f"torch:{HERE}:nothing"}, environment={})
    with pytest.raises(UsageError, match="no module no_such_module to load as a plug-in"):
        load(RunSettings, {**given, "model": "torch:no_such_module:f"}, environment={})


def test_torch_is_loaded_before_workers_are_forked() -> None:
    """Or each of them would load it: twelve on two cores took longer than a master waits."""
    code = "import sys; from erasurehead.settings.plugins import load_plugins;"
    code += "load_plugins(['json:loads']); assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("shape", ["2x3", "5x", "x5", "0x5", "five"])
def test_a_shape_has_as_many_entries_as_columns(shape: str) -> None:
    with pytest.raises(UsageError, match=f"shape={shape} of a torch model is no shape of 5"):
        model_of("convolutional", shape=shape)


def test_a_factory_is_given_the_columns_if_it_needs_them() -> None:
    def loss(m: Any, y: Any) -> Any:
        return (m - y) ** 2

    for factory in (
        lambda: nn.Linear(5, 1),
        lambda n: nn.Linear(n, 1),
        lambda n=5: nn.Linear(n, 1),
    ):
        module, found = with_loss(factory, loss)(5)
        assert module.weight.shape == (1, 5)
        assert found is loss


@pytest.mark.parametrize(
    ("scheme", "optimizer", "step", "batch"),
    [
        ("agc:c=2,delta=0.3", "gradient-descent", "0.5", 1.0),
        ("agc:c=2,delta=0.3", "momentum", "0.1", 0.5),
        ("agc:c=2,delta=0.3", "adam", "0.05", 0.5),
        ("uncoded", "lbfgs", "1", 1.0),
        ("egc:c=2", "damped-lbfgs", "1", 1.0),
        ("cached", "anchored-lbfgs", "0.5", 1.0),
    ],
)
def test_a_network_trains_on_virtual_workers(
    scheme: str, optimizer: str, step: str, batch: float
) -> None:
    rows = some_rows()
    spec = f"torch:{HERE}:network,classes=3"
    machine, descent = make_master(
        rows,
        model=spec,
        scheme=scheme,
        workers=4,
        optimizer=optimizer,
        rounds=80,
        step=step,
        batch=batch,
    )
    cluster = VirtualCluster(machine, descent, RealArithmetic(rows), Timing())
    for i in range(4):
        cluster.start(f"w{i}", i)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == 0
    (whole,) = pieces(rows, 60)
    model = machine.plan.model
    hits = model.outputs(whole, descent.model).argmax(axis=1) == rows.labels
    assert hits.mean() > 0.75
    chances = model.probabilities(model.outputs(whole, descent.model))
    assert chances is not None
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
