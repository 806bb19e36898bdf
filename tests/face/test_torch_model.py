"""Torch modules from Python: what workers are told, and that they learn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import erasurehead as eh
from erasurehead.models import torch_module
from erasurehead.settings import plugins

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other tests of this process start workers that need no torch."""
    monkeypatch.setattr(plugins, "_loaded", dict(plugins._loaded))
    monkeypatch.setattr(torch_module, "BUILDS", dict(torch_module.BUILDS))
    yield
    plugins._load_file.cache_clear()


def build(n_columns: int) -> tuple[Any, Any]:
    return nn.Linear(n_columns, 1), lambda m, y: (m - y) ** 2


def squares(outputs: Any, labels: Any) -> Any:
    return (outputs - labels) ** 2


def rows(n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).standard_normal((n, 6))
    return X, X @ np.arange(6.0)


def test_a_function_that_workers_can_import_is_named() -> None:
    text = eh.torch_model(build)
    assert text == f"torch:build={__name__}:build"
    assert f"{__name__}:build" in plugins.loaded_plugins()


def test_others_are_handed_over_in_private_files() -> None:
    text = eh.torch_model(lambda: nn.Linear(6, 1), squares, shape=(6,))
    name = text.removeprefix("torch:build=").removesuffix(",shape=6")
    assert name.startswith("handed_over:_lambda__")
    (file,) = [Path(p) for p in plugins.loaded_plugins() if p.endswith(".py")]
    assert file.parent.stat().st_mode & 0o077 == 0
    assert file.parent.name.startswith("erasurehead-handed-over-")
    run = eh.simulate(
        *rows(), model=text, scheme="egc:c=2", workers=4, rounds=40, step=0.1, pass_s=1.0
    )
    assert run.history[-1].train_loss < 0.01 * run.history[0].train_loss
    assert run.model.n_parameters == 7


def test_workers_learn_what_a_script_has_defined() -> None:
    """With mini-batch rounds of images, and Adam."""

    class Network(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 3, 2), nn.Linear(6, 1)

        def forward(self, x: Any) -> Any:
            return self.second(torch.relu(self.first(x)).flatten(1))

    X, y = rows()
    run = eh.train(
        X,
        y,
        model=eh.torch_model(Network, squares, shape=(1, 2, 3)),
        scheme="agc:c=2,r=2",
        workers=4,
        rounds=60,
        optimizer="adam",
        step=0.05,
        batch=0.5,
        until="none",
        progress=False,
    )
    assert run.history[-1].train_loss < 0.5 * run.history[0].train_loss
    assert run.predict(X[:3]).shape == (3,)


def test_what_belongs_to_this_process_is_refused() -> None:
    lock = threading.Lock()

    def locked() -> Any:
        with lock:
            return nn.Linear(6, 1)

    with pytest.raises(eh.UsageError, match="cannot be handed to workers: TypeError"):
        eh.torch_model(locked, squares)
