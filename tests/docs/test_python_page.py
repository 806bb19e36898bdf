"""The examples of the page on Python, run one after the other."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead_local.pool import POOL

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"


def examples(text: str) -> list[doctest.Example]:
    """Return the examples of a page's fenced blocks, with their lines in the page."""
    found = []
    for block in re.finditer(r"^```pycon\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        before = text[: block.start(1)].count("\n")
        for example in doctest.DocTestParser().get_examples(block[1]):
            example.lineno += before
            found.append(example)
    return found


def test_every_example_of_the_page_on_python_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    options = {"rows": "300", "columns": "20", "nnz": "3"}
    prepare("synthetic", source=None, out=Path("stores/flights"), options=options)
    test = doctest.DocTest(examples(PAGE.read_text("utf-8")), {}, "python", str(PAGE), 0, None)
    assert len(test.examples) > 30
    told: list[str] = []
    try:
        failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    finally:
        POOL.close()
    assert not failed, "".join(told)


def test_the_readme_s_lines_of_python_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [lines] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(lines.splitlines()) <= 6
    exec(compile(lines, "README.md", "exec"), {})
