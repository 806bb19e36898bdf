"""Parts from outside our packages: each example runs, and four of them together over sockets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from erasurehead.runs import Run

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "examples" / "plugins"
LIMIT_S = 120

EXAMPLES = {
    "mirrored": ["--scheme", "mirrored / least-squares / fraction:r=3"],
    "ridge": ["--scheme", "cyclic-repetition:s=1 / ridge:price=0.001 / fraction:r=3"],
    "smoothed": ["--scheme", "frc:c=2 / first-copy / exact / smoothed:keep=0.3"],
    "majority": ["--scheme", "frc:c=2 / first-copy:scale=coverage / majority"],
    "rush_hour": ["--delay", "rush-hour:mean_s=0.01,every=3"],
    "toy_softmax": ["--model", "toy-softmax", "--step", "1.0"],
    "heavy_ball": ["--optimizer", "heavy-ball:momentum=0.5"],
    "fallen": ["--until", "fallen:0.01"],
    "grid": ["--wire-format", "grid", "--scheme", "agc:c=2,r=3"],
}


def erasurehead(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "erasurehead_cli", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, told apart by three of five columns; their numbers are the labels."""
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 240)
    columns = rng.standard_normal((240, 5))
    columns[np.arange(240), labels] += 2.0
    lines = ["a,b,c,d,e,label"]
    lines += [
        f"{','.join(f'{v:.4f}' for v in row)},{k}" for row, k in zip(columns, labels, strict=True)
    ]
    (folder / "classes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ("--from", "classes.csv", "-o", "target=label", "--out", "store")
    made = erasurehead("prepare", "csv", *arguments, cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder / "store"


def train(store: Path, folder: Path, *arguments: str) -> Run:
    common = ["--workers", "4", "--rounds", "12", "--until", "none", "--scheme", "egc:c=2"]
    common += ["--no-figures", "--quiet"]
    done = erasurehead("train", str(store), *common, *arguments, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Run.open(folder / "run")


def test_there_is_a_case_for_every_example() -> None:
    assert {path.stem for path in PLUGINS.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains(name: str, store: Path, tmp_path: Path) -> None:
    """With worker processes; the loss falls."""
    run = train(store, tmp_path, "--plugin", str(PLUGINS / f"{name}.py"), *EXAMPLES[name])
    losses = [record.train_loss for record in run.records]
    assert len(losses) == 12
    assert losses[-1] < 0.9 * losses[0]


def test_a_condition_of_ones_own_ends_a_run(store: Path, tmp_path: Path) -> None:
    run = train(store, tmp_path, "--plugin", str(PLUGINS / "fallen.py"), "--until", "fallen:0.95")
    assert run.summary is not None
    assert run.summary.rounds < 12
    assert run.summary.met == "fallen:0.95"


def test_four_toys_train_together_and_predict(store: Path, tmp_path: Path) -> None:
    """A code, a model, a method and a vector format from outside, over real sockets."""
    names = ("mirrored", "toy_softmax", "heavy_ball", "grid")
    plugins = [word for name in names for word in ("--plugin", str(PLUGINS / f"{name}.py"))]
    chosen = [word for name in names for word in EXAMPLES[name]]
    run = train(store, tmp_path, *plugins, *chosen, "--rounds", "60")
    assert run.records[-1].metrics["hits"] > 0.8
    theta = np.load(tmp_path / "run" / "model.npz")["theta"]
    told = erasurehead("predict", "run", str(store), *plugins, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert f"hits={run.records[-1].metrics['hits']:g}"[:8] in told.stdout
    assert len(theta) % 3 == 0
    table = (tmp_path / "run" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "label,class,margin of 0,margin of 1,margin of 2"
    rows = np.array([[float(v) for v in line.split(",")] for line in table[1:]])
    assert np.mean(rows[:, 1] == rows[:, 0]) == run.records[-1].metrics["hits"]
    refused = erasurehead("predict", "run", str(store), cwd=tmp_path)
    assert refused.returncode == 2
    assert "toy-softmax" in refused.stderr


def test_the_page_shows_the_examples_as_they_are() -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    shown = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    examples = {path.read_text(encoding="utf-8") for path in PLUGINS.glob("*.py")}
    assert examples <= set(shown)
