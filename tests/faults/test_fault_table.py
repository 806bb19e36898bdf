"""docs/reliability.md names tests and metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from erasurehead_master.watch.metrics import METRICS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
TABLE = PAGE[PAGE.index("| event |") : PAGE.index("Besides, on virtual time")]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in TABLE.splitlines()[2:]
    if line.startswith("|")
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_names_what_there_is(row: list[str]) -> None:
    _, _, tests, _, metrics = row
    defined = "".join(p.read_text() for p in (ROOT / "tests").glob("*/test_*.py"))
    named = re.findall(r"`(\w+)`", tests)
    assert named
    for name in named:
        is_file = list((ROOT / "tests").glob(f"*/{name}.py"))
        assert is_file or re.search(rf"^def test_\w*{name}", defined, re.MULTILINE), name
    known = {metric.name.removeprefix("erasurehead_") for metric in METRICS}
    for name in re.findall(r"`(\w+)(?:\{[^`]*\})?`", metrics):
        assert name in known or name == "wrong-slot", name
