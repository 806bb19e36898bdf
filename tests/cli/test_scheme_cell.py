"""Schemes in narrow columns can be read, and be put together again."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from erasurehead_cli.results.scheme_cell import SchemeCell, folded

PARTS = "frc:c=2 / first-copy:scale=coverage / fraction:r=3 / saga"


@pytest.mark.parametrize(
    ("scheme", "width", "lines"),
    [
        ("cached", 17, ["cached"]),
        (
            "agc:c=3,r=2,scale=unbiased,cache=saga",
            17,
            ["agc:c=3,r=2,", "scale=unbiased,", "cache=saga"],
        ),
        (PARTS, 80, [PARTS]),
        (
            PARTS,
            17,
            ["frc:c=2 /", "first-copy:scale=", "coverage /", "fraction:r=3 /", "saga"],
        ),
        ("a-name-of-many-letters", 9, ["a-name-of-many-letters"]),
        ("", 9, [""]),
    ],
)
def test_a_scheme_is_folded_between_its_options(scheme: str, width: int, lines: list[str]) -> None:
    assert folded(scheme, width) == lines
    assert "".join(lines).replace(" ", "") == scheme.replace(" ", "")


@pytest.mark.parametrize("width", [30, 200])
def test_a_column_of_schemes_takes_the_room_that_there_is(width: int) -> None:
    table = Table()
    table.add_column("scheme", min_width=12)
    table.add_column("rounds", no_wrap=True)
    table.add_row(SchemeCell("agc:c=3,r=2,scale=unbiased,cache=saga"), "123456")
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    text = out.getvalue()
    assert "123456" in text
    if width == 200:
        assert "agc:c=3,r=2,scale=unbiased,cache=saga" in text
    else:
        assert "scale=unbiased," in text
        assert max(map(len, text.splitlines())) <= width
