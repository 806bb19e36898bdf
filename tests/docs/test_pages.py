"""Pages that restate the code are kept equal to it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from erasurehead import errors
from erasurehead.wire.messages import REFUSALS
from erasurehead.wire.vectors import FORMATS
from erasurehead_cli.main import main
from erasurehead_cli.pages.settings_page import settings_markdown

ROOT = Path(__file__).parents[2]


def test_the_settings_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_markdown(), "run `make docs`"
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == written


def test_the_exit_codes_page_has_every_code_and_every_error() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    rows = {}
    for line in page.splitlines():
        if found := re.match(r"\| (\d+) \| `(EXIT_\w+)` \| (.*)", line):
            rows[found[2]] = (int(found[1]), found[3])
    codes = {name: value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {name: code for name, (code, _) in rows.items()} == codes
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and "exit_code" in vars(kind) and name != "ErasureHeadError":
            [told] = [text for code, text in rows.values() if code == vars(kind)["exit_code"]]
            assert f"`{name}`" in told


def test_the_protocol_page_has_every_reason_for_refusing() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    table = page.partition("| reason | meaning |")[2]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(REFUSALS)


def test_the_protocol_page_has_every_vector_format() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    table = page.partition("| format | arrays | relative error |")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", table, re.MULTILINE)
    values = np.ones(7)
    for (name, arrays, error), known in zip(rows, FORMATS, strict=True):
        format = FORMATS.build(known)
        layout = format.pack(values, np.random.default_rng(0)).layout
        dtypes = [(dtype.str.replace("|", r"\|"), n) for dtype, n in layout]
        told = [f"{'n' if n == len(values) else n} × `{dtype}`" for dtype, n in dtypes]
        relative = format.relative_error
        assert (name, arrays) == (known, ", ".join(told))
        assert error == (f"{relative:.1e}" if relative else "0")


def test_the_readme_names_every_command() -> None:
    from erasurehead_cli.command_line import application

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [info.callback.__name__ for info in application().registered_commands if info.callback]
    assert len(names) >= 6
    for name in [*names, "settings"]:
        assert f"`erasurehead {name}" in text, name


def test_the_readme_says_the_two_commands_in_its_first_screen() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25]
    assert [line.split("#")[0].strip() for line in lines if line.startswith("$ ")] == [
        "$ make demo",
        "$ make test",
    ]


def test_contributing_is_one_page() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_changelog_has_a_place_for_the_next_change_and_no_marks_of_a_merge() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text
    assert not re.search(r"^(<<<<<<<|=======|>>>>>>>)", text, re.MULTILINE)


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
