"""Options come from the settings tree: each leaf has one, and the usual precedence holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from erasurehead.errors import UsageError
from erasurehead.settings.leaves import settings_of
from erasurehead.settings.section import Section
from erasurehead.settings.tree import (
    MasterSettings,
    RunSettings,
    SlurmSettings,
    TreeSettings,
    WorkerSettings,
)
from erasurehead_cli.command_line import application
from erasurehead_cli.console.options import Given
from erasurehead_cli.main import main

COMMANDS: dict[str, type[TreeSettings]] = {
    "train": RunSettings,
    "compare": RunSettings,
    "master": MasterSettings,
    "slurm": SlurmSettings,
    "worker": WorkerSettings,
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def leaves(cls: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Walk the tree by its JSON schema, which pydantic makes in its own way."""
    for name, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from leaves(field.annotation, (*prefix, name))
        else:
            yield (*prefix, name)


def names(cls: type[TreeSettings]) -> Iterator[tuple[str, ...]]:
    """Walk the tree as the command line sees it: the main groups have no name there."""
    main = ("problem", "coding", "straggling", "descent", "run")
    for path in leaves(cls):
        yield path[1:] if path[0] in main else path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_has_an_option_with_its_description(command: str) -> None:
    shown = CliRunner().invoke(application(), [command, "--help"])
    assert shown.exit_code == 0
    flat = " ".join(shown.output.replace("│", " ").split())
    none = {("resume",)} if command == "compare" else set()  # its runs begin anew
    for name in set(names(COMMANDS[command])) - none:
        assert f"--{'-'.join(name).replace('_', '-')} " in flat.replace("/--no-", " --no-"), name
    for setting in settings_of(COMMANDS[command]):
        if setting.name not in {("scheme",)} | none:
            first_words = " ".join((setting.field.description or "").split()[:3])
            assert first_words in flat, setting.path


@pytest.mark.parametrize("cls", [RunSettings, MasterSettings, SlurmSettings, WorkerSettings])
def test_settings_of_walks_the_whole_tree_once(cls: type[TreeSettings]) -> None:
    found = [setting.path for setting in settings_of(cls)]
    assert found == list(leaves(cls))
    assert [setting.name for setting in settings_of(cls)] == list(names(cls))
    assert len({setting.flag for setting in settings_of(cls)}) == len(found)


def sample(setting: Any) -> tuple[str, Any]:
    """Return a value that is not the default, as a user writes it and as YAML shows it."""
    default = setting.field.default
    if setting.kind is bool:
        return "", not default
    if setting.is_list and setting.forms:
        text = "time:60s" if setting.path[-1] == "until" else setting.forms[0]
        return text, [text]
    if setting.is_list:
        return "json", ["json"]  # a module that is always there
    if setting.forms:
        words = [form for form in setting.forms if form.replace("-", "").isalnum()]
        other = next((word for word in words if word != default), "0.5")
        return other, other
    if "|" in setting.values:
        other = next((v for v in setting.values.split("|") if v not in (default, "NUMBER")), "0.5")
        return other, 0.5 if other == "0.5" else other
    if setting.kind in (int, float):
        base = default if isinstance(default, int | float) else 2
        bounded = any(hasattr(rule, "le") for rule in setting.field.metadata)
        value = base / 2 if bounded else base * 2 + 3
        return str(value), setting.kind(value)
    return "else:where=1", "else:where=1"


ROLES = {role: COMMANDS[role] for role in ("train", "master", "slurm", "worker")}
OF_RUNS = {setting.path for setting in settings_of(RunSettings)}
EVERY_LEAF = [
    pytest.param(role, setting, id=f"{role}-{'.'.join(setting.path)}")
    for role, cls in ROLES.items()
    for setting in settings_of(cls)
    if role != "slurm" or setting.path not in OF_RUNS
]


@pytest.mark.parametrize(("role", "setting"), EVERY_LEAF)
def test_a_value_reaches_its_leaf(
    role: str, setting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text, expected = sample(setting)
    if setting.path[-1] == "min_workers":
        text, expected = "3", 3  # at most `workers`
    if setting.path[-1] == "heartbeat_interval_s":
        text, expected = "0.25", 0.25  # at most half the silence limit
    if setting.path in (("bind",), ("connect",)):
        text = expected = "tcp://127.0.0.1:7"  # one beyond this machine needs keys
    if setting.path[-1] == "max_connections":
        text, expected = "400", 400  # at least `workers`
    flag = f"--no-{setting.flag}" if expected is False else f"--{setting.flag}"
    arguments = ["settings", role, flag, *([text] if text else [])]
    if role != "worker" and setting.name != ("store",):
        arguments += ["--store", "somewhere"]
    if setting.name == ("resume",):
        arguments += ["--out", "somewhere"]
    if setting.path[0] == "keys" and setting.path[-1] != "recheck_s":
        pair = {"secret", "workers" if role == "master" else "master"}
        [other] = pair - {setting.path[-1]}
        arguments += [f"--keys-{other}", "its/partner"]
    assert main(arguments) == 0, capsys.readouterr().err
    found = yaml.safe_load(capsys.readouterr().out)
    for key in setting.path:
        found = found[key]
    assert found == expected


def test_command_line_over_environment_over_file_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        "problem: {store: filed}\ncoding: {workers: 4}\ndescent: {rounds: 5}\nwire: {format: f4}\n"
    )

    def effective(*arguments: str) -> dict[str, Any]:
        assert main(["settings", "train", "--config", str(config), *arguments]) == 0
        shown: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
        return shown

    assert (effective()["coding"]["workers"], effective()["run"]["seed"]) == (4, 0)
    assert effective()["wire"]["format"] == "f4"
    monkeypatch.setenv("ERASUREHEAD_WORKERS", "6")
    monkeypatch.setenv("ERASUREHEAD_WIRE__DENSE_SHARE", "0.5")
    assert effective()["coding"]["workers"] == 6
    assert effective()["wire"] == {**effective()["wire"], "format": "f4", "dense_share": 0.5}
    given = effective("--workers", "8", "--wire-dense-share", "0.25", "named")
    assert (given["coding"]["workers"], given["descent"]["rounds"]) == (8, 5)
    assert given["problem"]["store"] == "named"
    assert given["wire"]["dense_share"] == 0.25


def test_the_effective_settings_can_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", "master", "s", "--seed", "5", "--no-share-store"]) == 0
    first = capsys.readouterr().out
    (tmp_path / "again.yaml").write_text(first)
    assert main(["settings", "master", "--config", str(tmp_path / "again.yaml")]) == 0
    assert capsys.readouterr().out == first


def test_an_argument_and_an_option_must_agree() -> None:
    assert Given({"store": "a"}, None).load(RunSettings, store="a").problem.store == "a"
    assert Given({}, None).load(RunSettings, store="a").problem.store == "a"
    with pytest.raises(UsageError, match="store is given twice, as argument 'b' and as --store a"):
        Given({"store": "a"}, None).load(RunSettings, store="b")


def test_a_switch_can_be_said_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, expected in (("--share-store", True), ("--no-share-store", False)):
        assert main(["settings", "master", "s", flag]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["share_store"] is expected


def test_options_stand_under_the_words_of_their_section() -> None:
    groups = {setting.name: setting.group for setting in settings_of(MasterSettings)}
    assert groups["rounds",] == "How the model moves, how often, and when it is looked at"
    assert groups["bind",] == "A master for workers on other machines"
    assert groups["wire", "format"] == "What travels between master and workers"


def test_a_new_setting_gets_its_option_by_itself() -> None:
    """1. A tree with a new section. 2. A command made from it. 3. Its option is there."""
    from pydantic import Field

    from erasurehead_cli.console.options import with_settings

    class NewSettings(Section):
        """Something new."""

        limit_s: float | None = Field(None, description="seconds until something")

    class Tree(TreeSettings):
        """A tree."""

        new: NewSettings = NewSettings()

    seen: list[Any] = []

    @with_settings(Tree)
    def command(given: Given) -> None:
        seen.append(given.load(Tree))

    fresh = typer.Typer()
    fresh.command()(command)
    assert CliRunner().invoke(fresh, ["--new-limit-s", "2.5"]).exit_code == 0
    assert seen == [Tree(new=NewSettings(limit_s=2.5))]
