"""What a part can do is asked of its attributes, never of its class or its name.

So a part of a plug-in is treated like one of ours.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "common/erasurehead/schemes",
    "common/erasurehead/stopping",
    "common/erasurehead/decoding",
    "common/erasurehead/estimating",
    "common/erasurehead/straggling",
    "services/simulator/erasurehead_simulator/laws",
    "services/simulator/erasurehead_simulator/planner",
    "services/simulator/erasurehead_simulator/traces",
)
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def questions(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what asks for a class, or compares a name with a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"isinstance", "type"}:
            yield node
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = any(isinstance(each, ast.Attribute) and each.attr == "name" for each in sides)
            texts = any(isinstance(each, ast.Constant | ast.Tuple | ast.Set) for each in sides)
            if named and texts:
                yield node
        elif isinstance(node, ast.MatchClass):
            yield node.cls


def test_the_rooms_are_there() -> None:
    assert all((ROOT / room).is_dir() for room in ROOMS)
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nobody_asks_for_classes_or_names(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [ast.unparse(found) for found in questions(tree)] == []
