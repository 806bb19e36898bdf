"""Which of our modules imports which, read from the source with `ast`.

An import inside a function counts as well. `tests/test_layers.py` rules on what this module reads,
and `layers_picture.py` draws it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "erasurehead": ROOT / "common",
    **{p.name: p.parent for p in sorted((ROOT / "services").glob("*/erasurehead_*"))},
}
"""Every package of ours, and the directory that it lies in."""


@cache
def modules() -> dict[str, Path]:
    """Return every module of ours by its dotted name."""
    found = {}
    for package, parent in PACKAGES.items():
        for path in (parent / package).rglob("*.py"):
            parts = path.relative_to(parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str, *, at_import: bool = False) -> frozenset[str]:
    """Return the dotted names that a module imports; ours resolved to modules.

    Parameters
    ----------
    at_import: leave out what only functions import, or only a type checker.
    """
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")), at_import=at_import):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in modules() else base)
    return frozenset(found)


def _statements(tree: ast.Module, *, at_import: bool) -> Iterator[ast.AST]:
    if not at_import:
        yield from ast.walk(tree)
        return
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
            continue
        todo.extend(ast.iter_child_nodes(node))


def folder(module: str) -> str:
    """Return the folder of a module: a package, or a folder directly inside one."""
    names = module.split(".")
    inside = names if modules()[module].name == "__init__.py" else names[:-1]
    return ".".join(inside[:2])


@cache
def folder_imports() -> dict[str, frozenset[str]]:
    """Return for every folder the other folders that its modules import."""
    found: dict[str, set[str]] = {folder(module): set() for module in modules()}
    for module in modules():
        for name in imports(module):
            if name in modules():
                found[folder(module)].add(folder(name))
    return {name: frozenset(others - {name}) for name, others in found.items()}
