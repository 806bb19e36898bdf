"""Spellings of older versions: taken everywhere, said once a source, refused beside the new one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from erasurehead.errors import UsageError
from erasurehead.runs import Run
from erasurehead.settings.leaves import settings_of
from erasurehead.settings.sources import load
from erasurehead.settings.spellings import RENAMED
from erasurehead.settings.tree import MasterSettings, RunSettings, WorkerSettings
from erasurehead.settings.yaml_file import as_yaml
from erasurehead_cli.main import main

OLD_FILE = """\
store: stores/x
scheme: egc:c=3
workers: 6
tasks: null
rounds: 40
seed: 3
delay: exponential:mean_s=0.5
objective: logistic
optimizer: nesterov
step: '0.5'
l2: 0.25
evaluate_every_rounds: 5
out: runs/x
resume: true
membership:
  min_workers: 2
  elastic: true
  rebuild_after_s: 7.5
  regroup_after_rounds: 9
wire:
  dtype: <f4
"""
"""As version 0.1 wrote config.yaml, where it differs."""

NEW_FILE = """\
problem: {store: stores/x, model: logistic, l2: 0.25}
coding: {scheme: egc:c=3, workers: 6, tasks: null}
straggling: {delay: exponential:mean_s=0.5}
descent: {optimizer: nesterov, step: '0.5', rounds: 40, evaluate_every_rounds: 5}
run: {seed: 3, out: runs/x, resume: true}
membership: {min_workers: 2}
refit: {elastic: true, rebuild_after_s: 7.5, regroup_after_rounds: 9}
wire: {format: f4}
"""


def read(
    tmp_path: Path, text: str = "", environment: Mapping[str, str] | None = None, **given: Any
) -> tuple[RunSettings, list[str]]:
    """Return the settings and what was warned of."""
    file = tmp_path / "run.yaml"
    file.write_text(text)
    warned: list[str] = []
    settings = load(
        RunSettings, given, config=file, environment=environment or {}, warn=warned.append
    )
    return settings, warned


def test_an_old_file_means_what_it_meant(tmp_path: Path) -> None:
    old, warned = read(tmp_path, OLD_FILE)
    new, none = read(tmp_path, NEW_FILE)
    assert old == new
    assert none == []
    [sentence] = warned
    assert sentence.startswith(f"{tmp_path / 'run.yaml'} has old spellings, which are still taken;")
    for words in (
        "descent.rounds for rounds",
        "problem.model for objective",
        "refit.elastic for membership.elastic",
        "wire.format=f4 for wire.dtype=<f4",
    ):
        assert words in sentence


def test_old_options_and_variables_are_taken_as_well(tmp_path: Path) -> None:
    environment = {"ERASUREHEAD_OBJECTIVE": "logistic", "ERASUREHEAD_ROUNDS": "7"}
    settings, warned = read(
        tmp_path, environment=environment, store="s", membership={"elastic": True}
    )
    assert (settings.problem.model, settings.descent.rounds) == ("logistic", 7)
    assert settings.refit.elastic
    assert warned == [
        "the command line has old spellings, which are still taken;"
        " write --refit-elastic for --membership-elastic",
        "the environment has old spellings, which are still taken;"
        " write ERASUREHEAD_MODEL for ERASUREHEAD_OBJECTIVE",
    ]


def test_a_source_in_an_old_spelling_keeps_its_rank(tmp_path: Path) -> None:
    settings, _ = read(
        tmp_path,
        "store: s\nobjective: nothing\nrounds: 3\n",
        {"ERASUREHEAD_MODEL": "nothing either"},
        objective="logistic",
        rounds=4,
    )
    assert (settings.problem.model, settings.descent.rounds) == ("logistic", 4)


@pytest.mark.parametrize(
    ("text", "environment", "given", "sentence"),
    [
        ("rounds: 3\ndescent: {rounds: 3}\n", {}, {}, "rounds and descent.rounds in .*run.yaml"),
        (
            "objective: a\nproblem: {model: b}\n",
            {},
            {},
            "objective and problem.model in .*",
        ),
        (
            "",
            {"ERASUREHEAD_OBJECTIVE": "a", "ERASUREHEAD_MODEL": "a"},
            {},
            "ERASUREHEAD_OBJECTIVE and ERASUREHEAD_MODEL in the environment",
        ),
        (
            "",
            {},
            {"membership": {"elastic": True}, "refit": {"elastic": True}},
            "--membership-elastic and --refit-elastic in the command line",
        ),
    ],
)
def test_both_spellings_in_one_source_are_refused(
    tmp_path: Path,
    text: str,
    environment: dict[str, str],
    given: dict[str, Any],
    sentence: str,
) -> None:
    with pytest.raises(UsageError, match=rf"^{sentence} are the same setting; keep .* alone$"):
        read(tmp_path, text, environment, store="s", **given)


def test_a_wrong_value_is_named_as_the_new_spelling(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'descent\.rounds' = 'x' from .*run\.yaml does not fit"):
        read(tmp_path, "store: s\nrounds: x\n")


def test_the_command_says_it_once_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "train", "s", "--objective", "logistic", "--membership-elastic"]) == 0
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line == (
        "erasurehead: the command line has old spellings, which are still taken; write --model for"
        " --objective, --refit-elastic for --membership-elastic"
    )
    shown = yaml.safe_load(said.out)
    assert shown["problem"]["model"] == "logistic"
    assert shown["refit"]["elastic"] is True


def test_old_options_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--model" in shown
    assert "--objective" not in shown
    assert "--membership-elastic" not in shown


def test_the_file_of_an_old_run_is_read_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.yaml").write_text(OLD_FILE)
    run = Run.open(tmp_path, allow_unfinished=True)
    assert run.settings == read(tmp_path, NEW_FILE)[0]
    assert not caplog.records


def test_what_is_written_has_the_new_format_and_says_so(tmp_path: Path) -> None:
    settings, _ = read(tmp_path, OLD_FILE)
    written = as_yaml(settings)
    assert written.startswith("# Settings in groups: format 2.")
    assert read(tmp_path, written) == (settings, [])


@pytest.mark.parametrize("cls", [RunSettings, MasterSettings, WorkerSettings])
def test_names_are_unique_and_no_old_one_is_in_use(
    cls: type[RunSettings | MasterSettings | WorkerSettings],
) -> None:
    every = list(settings_of(cls))
    names = {setting.name for setting in every}
    assert len(names) == len(every)
    groups = {setting.path[0] for setting in every if len(setting.path) > 1}
    assert not groups & {name[0] for name in names if len(name) == 1}
    assert not names & {entry.old for entry in RENAMED}
    if cls is RunSettings:
        assert {entry.new for entry in RENAMED} <= {setting.path for setting in every}
