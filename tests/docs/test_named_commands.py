"""Commands, options, settings and make targets that a page names exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from erasurehead.settings.leaves import settings_of
from erasurehead.settings.tree import MasterSettings, RunSettings, SlurmSettings, WorkerSettings
from erasurehead_cli.command_line import application

ROOT = Path(__file__).parents[2]
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
]
"""Not the changelog: it names what there was."""

OF_OTHER_TOOLS = {"--volumes"}


@cache
def options() -> dict[str, set[str]]:
    """Return the options of every command, such as `train` and `keys new`."""

    def walk(name: str, command: object) -> Iterator[tuple[str, set[str]]]:
        assert isinstance(command, TyperCommand | TyperGroup)
        visible = (p for p in command.params if not getattr(p, "hidden", False))
        own = {flag for p in visible for flag in (*p.opts, *p.secondary_opts)} | {"--help"}
        yield name, own
        for inner, part in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {inner}".strip(), part)

    whole = typer.main.get_command(application())
    assert isinstance(whole, TyperGroup)
    return dict(walk("", whole))


def calls(page: str) -> Iterator[list[str]]:
    """Yield the words after `erasurehead` of every call in a page's fenced blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        for line in re.sub(r"\\\n>?\s*", " ", block).splitlines():
            call = re.match(r"(?:\$ )?erasurehead (.*)", line)
            if call:
                yield shlex.split(call[1], comments=True)


def spans(page: str) -> list[str]:
    """Return what stands in backticks, outside fenced blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [" ".join(span.split()) for span in found]


@pytest.mark.parametrize("page", PAGES)
def test_calls_use_options_of_their_command(page: str) -> None:
    for words in calls(page):
        command = words[0]
        if len(words) > 1 and f"{words[0]} {words[1]}" in options():
            command = f"{words[0]} {words[1]}"
        assert command in options(), f"{page} calls `erasurehead {command}`"
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in options()[command], f"{page}: {command} {word}"


@pytest.mark.parametrize("page", PAGES)
def test_options_exist(page: str) -> None:
    known = set().union(*options().values()) | OF_OTHER_TOOLS
    for span in spans(page):
        words = span.split()
        if words[0].startswith("--") or words[0] == "erasurehead":
            for word in words:
                assert not word.startswith("--") or word in known, f"{page} names {word}"


# The page of settings is made from the settings; it names old spellings as well.
@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/settings.md"])
def test_settings_exist(page: str) -> None:
    trees = (RunSettings, MasterSettings, SlurmSettings, WorkerSettings)
    paths = {".".join(s.path) for tree in trees for s in settings_of(tree)}
    groups = {path.partition(".")[0] for path in paths if "." in path}
    for span in spans(page):
        found = re.fullmatch(r"([a-z]+)\.[a-z0-9_]+", span.partition(":")[0])
        if found and found[1] in groups:
            assert found[0] in paths, f"{page} names the setting {found[0]}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    for words in re.findall(r"(?:`|^\$ )make ((?:[a-z-]+ ?)+)", text, re.MULTILINE):
        assert set(words.split()) <= targets, f"{page} names make {words}"
