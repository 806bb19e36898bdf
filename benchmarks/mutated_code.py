"""How many small faults in the code its tests find.

    python benchmarks/mutated_code.py [FOLDER ...] [--each 12] [--seed 0] [--tree DIRECTORY]

Drawn places of each folder of common/erasurehead are changed, one at a time, in a copy of the tree:
`<` becomes `<=`, `+` becomes `-`, `and` becomes `or`, a number grows by one, and the like (DeMillo,
Lipton and Sayward, "Hints on test data selection", 1978). The tests of the same folder are run on
each. A change is *found* if one of them fails, or if they take more than ten times as long as
usual. Changes that are not found are listed: some change nothing that anybody can see, the others
lack a test. Tests that need the published data sets are skipped. `--tree` is another checkout, such
as one of an earlier version, whose tests are then judged.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from erasurehead.process.cores import ONE_THREAD

HERE = Path(__file__).parents[1]
FOLDERS = ("coding", "decoding", "stopping", "straggling", "wire")
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__")

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}


@dataclass(frozen=True)
class Place:
    """The `number`-th node of a file, in the order of `ast.walk`."""

    file: Path
    number: int


def change(node: ast.AST) -> bool:
    """Change a node in place; return whether it is of a kind that is changed."""
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in COMPARED:
            node.ops[0] = COMPARED[type(op)]()
        case ast.BinOp(op=op) if type(op) in COMPUTED:
            node.op = COMPUTED[type(op)]()
        case ast.BoolOp(op=op):
            node.op = ast.And() if isinstance(op, ast.Or) else ast.Or()
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() | float() as value):
            node.value = value + 1
        case ast.UnaryOp(op=ast.Not()):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
        case _:
            return False
    return True


def walked(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that are run: not annotations, and not what only a checker of types sees."""
    hidden: set[int] = set()
    for node in ast.walk(tree):
        notes = [getattr(node, name, None) for name in ("annotation", "returns")]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            notes += node.body
        for note in notes:
            if isinstance(note, ast.AST):
                hidden.update(id(inner) for inner in ast.walk(note))
        if id(node) not in hidden:
            yield node


def places(folder: Path) -> list[Place]:
    """Return all places of a folder that can be changed."""
    return [
        Place(file, number)
        for file in sorted(folder.rglob("*.py"))
        for number, node in enumerate(walked(ast.parse(file.read_text(encoding="utf-8"))))
        if change(node)
    ]


def mutated(place: Place) -> tuple[str, str]:
    """Return the text of the file with the change, and words that say what was changed."""
    tree = ast.parse(place.file.read_text(encoding="utf-8"))
    node = list(walked(tree))[place.number]
    assert isinstance(node, ast.expr)
    before = ast.unparse(node)
    change(node)
    return ast.unparse(tree), f"{place.file}:{node.lineno}: {before} -> {ast.unparse(node)}"


def passes(tests: Path, limit_s: float) -> bool:
    """Return whether the tests of a folder pass, within a limit, in the tree that is the working
    directory."""
    code = [Path.cwd() / "common", *sorted((Path.cwd() / "services").iterdir())]
    path = os.pathsep.join(map(str, code))
    asked = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *asked, str(tests)],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def judge(folder: str, each: int, rng: random.Random) -> tuple[int, list[str]]:
    """Return how many changes of a folder were tried, and those that were not found."""
    tests = Path("tests", folder)
    began = time.monotonic()
    if not passes(tests, 3600.0):
        raise SystemExit(f"{tests} does not pass as it is; run it first")
    limit_s = 10 * (time.monotonic() - began)
    all_places = places(Path("common", "erasurehead", folder))
    left = []
    drawn = rng.sample(all_places, min(each, len(all_places)))
    for place in drawn:
        text, words = mutated(place)
        before = place.file.read_bytes()
        place.file.write_text(text, encoding="utf-8")
        if passes(tests, limit_s):
            left.append(words)
        place.file.write_bytes(before)
    return len(drawn), left


def main() -> None:
    """Print, for each folder, how many changes were found, and those that were not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", default=FOLDERS, metavar="FOLDER")
    parser.add_argument("--each", type=int, default=12, help="changes of each folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tree", type=Path, default=HERE)
    given = parser.parse_args()
    print("| folder | changed | found | |\n| --- | ---: | ---: | ---: |")
    survivors: list[str] = []
    tried = 0
    with TemporaryDirectory() as directory:
        copy = Path(directory) / "tree"
        shutil.copytree(given.tree, copy, ignore=LEFT_OUT)
        os.chdir(copy)
        for folder in given.folders:
            count, left = judge(folder, given.each, random.Random(f"{folder} {given.seed}"))
            found = count - len(left)
            print(f"| `{folder}` | {count} | {found} | {found / count:.0%} |", flush=True)
            tried, survivors = tried + count, survivors + left
        found = tried - len(survivors)
        print(f"| all | {tried} | {found} | {found / tried:.0%} |\n")
        os.chdir(HERE)
    print("\n".join(f"not found: {words}" for words in survivors))


if __name__ == "__main__":
    main()
