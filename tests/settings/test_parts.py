"""Settings that name a registered part: what is unknown is refused as soon as settings are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from erasurehead.errors import UsageError
from erasurehead.models import MODELS
from erasurehead.optimizing import METHODS
from erasurehead.registry import Registry
from erasurehead.runs import Run
from erasurehead.schemes.shorthands import SHORTHANDS
from erasurehead.settings.leaves import settings_of
from erasurehead.settings.nested import Tree, put
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead.wire.vectors import FORMATS
from erasurehead_cli.main import main
from erasurehead_cli.pages.settings_page import settings_markdown

REGISTRIES: dict[str, Registry[Any]] = {
    "model": MODELS,
    "scheme": SHORTHANDS,
    "delay": DELAYS,
    "optimizer": METHODS,
    "wire.format": FORMATS,
}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"delay": "exponental"}, "--delay: unknown delay model 'exponental' (did you mean 'exp"),
        ({"delay": "pareto:shap=1"}, "--delay: delay model 'pareto' has no option 'shap' (did"),
        ({"delay": "pareto:shape=1"}, "--delay: delay model 'pareto' needs scale_s; write for"),
        ({"delay": "pareto:shape=x"}, "--delay: option shape=x of delay model 'pareto' does not"),
        ({"model": "logistics"}, "--model: unknown model 'logistics' (did you mean 'logistic'?)"),
        ({"optimizer": "nestorov"}, "--optimizer: unknown optimizer 'nestorov' (did you mean 'nes"),
        ({"step": "expo:eta=1"}, "--step: unknown step size 'expo'"),
        ({"step": "-1"}, "--step: step size eta=-1 must be a positive number"),
        ({"scheme": "ecg:c=3"}, "--scheme: "),
        ({"wire": {"format": "g16"}}, "--wire-format: unknown vector format 'g16'; known: f8, f4"),
    ],
)
def test_what_is_called_nothing_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(RunSettings, {"store": "s", **given}, environment={})
    assert str(refused.value).startswith(sentence)


def test_the_place_of_a_wrong_name_is_told(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("straggling: {delay: sometimes}\n")
    with pytest.raises(UsageError, match=r"^straggling\.delay in .*run\.yaml: unknown delay model"):
        load(RunSettings, {"store": "s"}, config=file, environment={})
    with pytest.raises(UsageError, match=r"^ERASUREHEAD_DELAY: unknown delay model"):
        load(RunSettings, {"store": "s"}, environment={"ERASUREHEAD_DELAY": "sometimes"})


def test_a_recorded_run_may_name_what_is_not_there(tmp_path: Path) -> None:
    """A report needs no plug-in of the run that it is about."""
    (tmp_path / "config.yaml").write_text("problem: {store: s}\nstraggling: {delay: mine}\n")
    assert Run.open(tmp_path, allow_unfinished=True).settings.straggling.delay == "mine"


def test_the_defaults_are_known() -> None:
    """pydantic does not check them."""
    for setting in settings_of(RunSettings):
        if setting.forms and setting.default is not None:
            given: Tree = {"store": "s"}
            put(given, setting.name, setting.default)
            load(RunSettings, given, environment={})


@pytest.mark.parametrize("name", REGISTRIES)
def test_help_and_page_say_what_is_registered(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("NO_COLOR", "1")
    known = " | ".join(REGISTRIES[name].forms())
    assert known.replace("|", "\\|") in settings_markdown()
    for command in (["train"], ["settings", "master"]):
        assert main([*command, "--help"]) == 0
        assert known in " ".join(capsys.readouterr().out.split())


def test_a_part_that_is_registered_later_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more: Registry[Any] = Registry("delay model", {"mine": DELAYS.factory("none")})
    monkeypatch.setattr("erasurehead.straggling.DELAYS", more)
    assert main(["settings", "train", "s", "--delay", "mine"]) == 0
    assert "delay: mine" in capsys.readouterr().out
