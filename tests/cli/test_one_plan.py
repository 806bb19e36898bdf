"""A command opens its store once, reads each scheme once and makes one plan of each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead_cli.main import main
from erasurehead_master.run import planning

SMALL = ["--workers", "2", "--rounds", "2", "--step", "1.0", "--no-figures", "-q"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "60", "columns": "12", "nnz": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what this process opens, fits and plans from now on."""
    counts: Counter[str] = Counter()

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return call(*arguments, **named)

        return wrapper

    monkeypatch.setattr(Store, "open", staticmethod(counting("stores opened", Store.open)))
    monkeypatch.setattr(Coding, "of", staticmethod(counting("schemes fitted", Coding.of)))
    monkeypatch.setattr(planning, "make_plan", counting("plans", planning.make_plan))
    parse.cache_clear()
    return counts


@pytest.mark.parametrize("command", [["train"], ["simulate", "--pass-s", "1"]])
def test_a_run_has_one_store_one_scheme_and_one_plan(
    command: list[str], store: Path, counted: Counter[str], tmp_path: Path
) -> None:
    arguments = [*command, str(store), *SMALL, "--scheme", "egc:c=2"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert counted == {"stores opened": 1, "schemes fitted": 1, "plans": 1}
    assert parse.cache_info().misses == 1


def test_so_has_a_run_that_is_resumed(store: Path, counted: Counter[str], tmp_path: Path) -> None:
    """The second command reads its settings, looks for a checkpoint and goes on from it."""
    out = ["--scheme", "egc:c=2", "--out", str(tmp_path / "run")]
    assert main(["train", str(store), *SMALL, *out]) == 0
    counted.clear()
    assert main(["train", str(store), *SMALL, *out, "--rounds", "4", "--resume"]) == 0
    assert counted == {"stores opened": 1, "schemes fitted": 1, "plans": 1}


def test_a_comparison_has_one_store_and_a_plan_for_each_scheme(
    store: Path, counted: Counter[str], tmp_path: Path
) -> None:
    schemes = ["--scheme", "egc:c=2", "--scheme", "uncoded"]
    assert main(["compare", str(store), *SMALL, *schemes, "--out", str(tmp_path / "all")]) == 0
    assert counted == {"stores opened": 1, "schemes fitted": 2, "plans": 2}
    assert parse.cache_info().misses == 2
