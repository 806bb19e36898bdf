"""The picture of the layers, `docs/images/layers.svg`, drawn from the code's own imports.

    python docs/layers/layers_picture.py

A frame is a package, a box is a folder in it with the first line of its docstring. A folder stands
one floor above the highest of those that it imports, so that imports point downwards; a line that
follows from others is left out. Folders that import each other in a circle share a floor and are
framed in red.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from import_graph import PACKAGES, ROOT, folder, folder_imports, modules

PICTURE = ROOT / "docs" / "images" / "layers.svg"

MARGIN = 12
BOX_W, BOX_H, GAP_X, GAP_Y = 146, 66, 12, 26
TITLE_H = 22
LETTERS, LINES = 25, 4
"""Characters in a line, and lines, of what a box says of its folder."""

STYLE = """
text { font-family: system-ui, sans-serif; fill: #1f2328 }
.package { fill: #f6f8fa; stroke: #8c959f }
.title { font-size: 13px; font-weight: 600 }
.box { fill: #ffffff; stroke: #57606a }
.circle { fill: #ffffff; stroke: #cf222e; stroke-width: 2 }
.name { font-size: 12px; font-weight: 600 }
.told { font-size: 9.5px; font-weight: 400; fill: #57606a }
.import { fill: none; stroke: #8c959f; stroke-width: 1 }
"""

Graph = Mapping[str, Collection[str]]


def within(graph: Graph, names: Collection[str]) -> dict[str, set[str]]:
    """Return the part of a graph that lies between some of its nodes."""
    return {name: set(graph[name]) & set(names) for name in names}


def reachable(graph: Graph, start: str) -> set[str]:
    """Return what one node leads to, itself only if there is a circle."""
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(graph[name])
    return seen


def floors(graph: Graph) -> list[list[str]]:
    """Return the nodes by floor, the lowest first; a circle shares a floor."""
    below = {name: reachable(graph, name) for name in graph}
    height: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in height:
            under = [n for m in {name, *circle(name)} for n in graph[m] if name not in below[n]]
            height[name] = max((floor(n) + 1 for n in under), default=0)
        return height[name]

    def circle(name: str) -> set[str]:
        return {other for other in below[name] if name in below[other]}

    for name in graph:
        floor(name)
    return [
        sorted(name for name in graph if height[name] == level)
        for level in range(max(height.values(), default=-1) + 1)
    ]


def direct(graph: Graph) -> set[tuple[str, str]]:
    """Return the edges that do not follow from others."""
    below = {name: reachable(graph, name) for name in graph}
    return {
        (name, other)
        for name in graph
        for other in graph[name]
        if not any(
            other in below[third] and name not in below[third]
            for third in set(graph[name]) - {other}
            if third not in below[other]
        )
    }


def untangled(rows: Sequence[Sequence[str]], edges: Collection[tuple[str, str]]) -> list[list[str]]:
    """Order each floor so that a node stands near the mean of what it is joined to."""
    ordered = [list(row) for row in rows]
    near: dict[str, set[str]] = {name: set() for row in rows for name in row}
    for name, other in edges:
        near[name].add(other)
        near[other].add(name)
    for _ in range(8):
        place = {n: (i + 0.5) / len(row) for row in ordered for i, n in enumerate(row)}
        for row in ordered:

            def wish(name: str, place: Mapping[str, float] = place) -> tuple[float, str]:
                towards = [place[other] for other in near[name]] or [place[name]]
                return round(sum(towards) / len(towards), 6), name

            row.sort(key=wish)
    return ordered


def at_the_top(package: str) -> list[str]:
    """Return the modules that lie in a package and in no folder of it."""
    return sorted(m for m in modules() if folder(m) == package and m != package)


def told(name: str) -> str:
    """Return the first line of a folder's docstring; for a package's own modules, their names."""
    if name in PACKAGES:
        named = [module.rpartition(".")[2] for module in at_the_top(name)]
        return ", ".join(module for module in named if module != "__main__")
    source = modules()[name].read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].rstrip(".")


@dataclass
class Panel:
    """A package: its folders by floor, and how much room they take."""

    package: str
    imported: Collection[str]

    def __post_init__(self) -> None:
        folders = [
            name
            for name in folder_imports()
            if name.split(".")[0] == self.package and ("." in name or at_the_top(name))
        ]
        graph = within(folder_imports(), folders)
        self.edges = direct(graph)
        self.rows = untangled(floors(graph), self.edges)
        self.circular = {name for name in graph if name in reachable(graph, name)}

    @property
    def width(self) -> int:
        return max(len(row) for row in self.rows) * (BOX_W + GAP_X) + GAP_X

    @property
    def height(self) -> int:
        return TITLE_H + len(self.rows) * (BOX_H + GAP_Y) - GAP_Y + GAP_X

    def draw(self, left: float, top: float, width: float, height: float) -> list[str]:
        """Return the elements of the package in a frame."""
        names = [name.partition("_")[2] or "the library" for name in sorted(self.imported)]
        imports = f"imports {', '.join(names)}" if names else "the library"
        parts = [
            f'<rect class="package" x="{left:g}" y="{top:g}" width="{width:g}"'
            f' height="{height:g}" rx="6"/>',
            f'<text class="title" x="{left + GAP_X:g}" y="{top + 16:g}">{self.package}'
            f'<tspan class="told" dx="8">{imports}</tspan></text>',
        ]
        corner: dict[str, tuple[float, float]] = {}
        for level, row in enumerate(reversed(self.rows)):
            step = width / len(row)
            for i, name in enumerate(row):
                x = left + (i + 0.5) * step - BOX_W / 2
                corner[name] = x, top + TITLE_H + level * (BOX_H + GAP_Y)
        for name, other in sorted(self.edges):
            (x, y), (to_x, to_y) = corner[name], corner[other]
            if y == to_y:
                continue  # a circle: the red frames say it
            x, to_x, y = x + BOX_W / 2, to_x + BOX_W / 2, y + BOX_H
            bend = GAP_Y * 0.8
            parts.append(
                f'<path class="import" d="M{x:g} {y:g} C{x:g} {y + bend:g}'
                f' {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"/>'
            )
        for name, (x, y) in corner.items():
            parts += self._box(name, x, y)
        return parts

    def _box(self, name: str, x: float, y: float) -> list[str]:
        kind = "circle" if name in self.circular else "box"
        title = name.rpartition(".")[2] if "." in name else "in no folder"
        lines = textwrap.wrap(told(name), LETTERS, max_lines=LINES, placeholder=" ...")
        return [
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{BOX_W}" height="{BOX_H}" rx="4"/>',
            f'<text class="name" x="{x + 7:g}" y="{y + 15:g}">{escape(title)}</text>',
            *(
                f'<text class="told" x="{x + 7:g}" y="{y + 28 + 11 * i:g}">{escape(line)}</text>'
                for i, line in enumerate(lines)
            ),
        ]


def package_imports() -> dict[str, set[str]]:
    """Return for every package the other packages that it imports."""
    found: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for name, others in folder_imports().items():
        found[name.split(".")[0]] |= {other.split(".")[0] for other in others}
    return {package: others - {package} for package, others in found.items()}


def picture() -> str:
    """Return the whole picture as SVG."""
    packages = package_imports()
    rows = reversed(untangled(floors(packages), direct(packages)))
    storeys = [[Panel(package, packages[package]) for package in row] for row in rows]
    full = max(sum(p.width for p in row) + (len(row) + 1) * MARGIN for row in storeys)
    parts: list[str] = []
    top = float(MARGIN)
    for storey in storeys:
        room = full - (len(storey) + 1) * MARGIN
        wanted = sum(panel.width for panel in storey)
        height = max(panel.height for panel in storey)
        left = float(MARGIN)
        for panel in storey:
            width = room * panel.width / wanted
            parts += panel.draw(left, top, width, height)
            left += width + MARGIN
        top += height + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {top:g}"'
            ' role="img" aria-label="The folders of the code, each above those that it imports">',
            "<!-- Written by `make docs` from the imports of the code; changes here are lost. -->",
            f"<style>{STYLE}</style>",
            f'<rect width="{full}" height="{top:g}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
