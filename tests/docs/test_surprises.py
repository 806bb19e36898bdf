"""The table of surprises and the scripts that show them: each has its counterpart."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "findings").glob("*"))
PAGE = (ROOT / "docs" / "surprises.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split(" | ")])[0].startswith("`findings")
}
PINNED = re.compile(r"[\w.+-]+==?\d[\w.:+~-]*")


def test_every_script_has_its_row_and_every_row_its_script() -> None:
    assert sorted(ROWS) == [path.relative_to(ROOT).as_posix() for path in SCRIPTS]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_the_test_that_holds_what_we_do(row: str) -> None:
    *said, held = ROWS[row]
    assert len(said) == 4
    assert all(said)
    found = re.findall(r"`(\w+)` in `(tests/[\w/]+\.py)`", held)
    assert found
    for name, path in found:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), held


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_a_script_says_what_it_shows_and_leaves_nothing_behind(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert len(text.splitlines()) < 80
    first, _, rest = text.partition("\nset -euo pipefail\n")
    heads = ["One would guess", "What happens", "Version", "Source"]
    assert re.findall(r"^# (\w[\w ]+):", first, re.MULTILINE) == heads
    assert rest.startswith("dir=$(mktemp -d)\ntrap 'rm -rf \"$dir\"' EXIT\n")
    assert "this has changed: " in rest
    installs = re.findall(r"(?:pip\" install|apt-get download) (.*)", rest)
    assert installs
    for words in installs:
        wanted = [word for word in words.split() if not word.startswith("-")]
        assert wanted
        assert all(PINNED.fullmatch(word) for word in wanted), words
    assert "erasurehead" not in rest.lower()
