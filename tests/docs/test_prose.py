"""Pages are of one width, and what they link to or name exists."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "dashboards/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
)
WIDTH = 100

PACKAGES = [ROOT / "common" / "erasurehead", *(ROOT / "services").glob("*/erasurehead_*")]
BASES = [ROOT, *(package.parent for package in PACKAGES), *PACKAGES]
"""Where a path on a page may begin: docs write `wire/frames.py` as well as the whole path."""

OF_THE_READER = "my_"
"""Begins the names of files that a page tells its reader to write."""


@cache
def prose(page: str) -> tuple[tuple[int, str], ...]:
    """Return the numbered lines of a page outside fenced blocks."""
    lines, fenced = [], False
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines.append((number, line))
    return tuple(lines)


def text(page: str) -> str:
    """Return the prose of a page with its line breaks taken out of the paragraphs."""
    return re.sub(r"(?<!\n)\n(?!\n)\s*", " ", "\n".join(line for _, line in prose(page)))


def anchors(page: str) -> set[str]:
    """Return the names under which the page's headings are linked to."""
    headings = [line.lstrip("# ") for _, line in prose(page) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def spelled_out(path: str) -> Iterator[str]:
    """Yield what `a/{b,c}.py` stands for."""
    parts = re.split(r"\{([^}]*)\}", path)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    for choice in itertools.product(*choices):
        yield "".join(choice)


def named_paths(page: str) -> Iterator[str]:
    """Yield the words in backticks that name a file or folder of the repository."""
    for span in re.findall(r"`([^`]+)`", text(page)):
        for word in span.split():
            path = word.strip("\"',;:()")
            first, slash, _ = path.partition("/")
            begins = re.fullmatch(r"\w[\w-]*|\.ci", first) is not None
            of_ours = slash and begins and any((base / first).is_dir() for base in BASES)
            script = re.fullmatch(r"[\w-]+\.(py|md|sh|toml)", path)
            if (of_ours or script) and not Path(path).name.startswith(OF_THE_READER):
                yield from spelled_out(path)


def exists(path: str) -> bool:
    """Return whether a path is there, from one of the bases; a bare name: anywhere below one."""
    if "/" in path:
        return any(next(base.glob(path.rstrip("/")), None) for base in BASES)
    folders = ("common", "services", "tests", "docs", "benchmarks", "dashboards", "docker")
    return (ROOT / path).exists() or any(
        next((ROOT / folder).rglob(path), None) for folder in folders
    )


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_no_longer_than_the_code_s(page: str) -> None:
    for number, line in prose(page):
        seen = re.sub(r"\]\([^)]*\)", "]", line)  # a link's target is not read
        table_or_picture = line.lstrip().startswith(("|", "!["))
        assert table_or_picture or len(seen) <= WIDTH, f"{page}:{number} has {len(seen)} characters"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text(page)):
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(linked.resolve().relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    for path in named_paths(page):
        assert exists(path), f"{page} names {path}"


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_are_named_exist(page: str) -> None:
    for name in re.findall(r"`(?:python -m )?(erasurehead\w*(?:\.\w+)+)", text(page)):
        path = name.replace(".", "/")
        owner, _, attribute = path.rpartition("/")
        if not exists(path) and not exists(f"{path}.py"):
            found = next((f for f in (f"{owner}.py", f"{owner}/__init__.py") if exists(f)), None)
            assert found, f"{page} names {name}"
            source = next(base / found for base in BASES if (base / found).is_file())
            assert re.search(rf"\b{attribute}\b", source.read_text(encoding="utf-8")), name
