"""The picture of the layers: drawn from the imports, and current."""

from __future__ import annotations

import pytest
from layers_picture import PICTURE, Graph, direct, floors, picture


def test_the_picture_is_current() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), "run `make docs`"


@pytest.mark.parametrize(
    ("graph", "by_floor", "lines"),
    [
        ({"a": set()}, [["a"]], set()),
        # c follows from b: its line is left out, and it stands two floors up.
        (
            {"c": {"b", "a"}, "b": {"a"}, "a": set()},
            [["a"], ["b"], ["c"]],
            {("c", "b"), ("b", "a")},
        ),
        # A circle shares a floor, above what any of it imports.
        (
            {"a": {"b"}, "b": {"a", "c"}, "c": set()},
            [["c"], ["a", "b"]],
            {("a", "b"), ("b", "a"), ("b", "c")},
        ),
    ],
)
def test_a_folder_stands_above_what_it_imports(
    graph: Graph, by_floor: list[list[str]], lines: set[tuple[str, str]]
) -> None:
    assert floors(graph) == by_floor
    assert direct(graph) == lines
