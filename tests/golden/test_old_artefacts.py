"""What the program of commit 2b43c8b wrote is still of use: stores, runs, checkpoints and models.

``from_2b43c8b`` holds two stores, a table each to prepare and to predict, a run that ended, a run
of a master with separate workers, and two runs whose master was killed, together with what that
program made of them. ``from_2b43c8b/write.py`` says how it made them. Each test works in a copy and
uses the command only. Numbers are compared bit for bit on a machine of the recorder's fingerprint
and to a relative 1e-9 elsewhere (see ``test_golden_runs.py``).
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden import golden_runs as golden

FIXTURES = Path(__file__).parent / "from_2b43c8b"
LAST_CHECKPOINT = 12


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a copy of the fixtures; their paths are relative to it."""
    return shutil.copytree(FIXTURES, tmp_path / "old")


@pytest.fixture(scope="module")
def same_kernels() -> bool:
    recorded = golden.read(golden.SIMULATED)["fingerprint"]
    return bool(golden.fingerprint() == recorded)


def erasurehead(folder: Path, *arguments: str) -> str:
    """Run the command in a folder, insist that it ends well, and return what it printed."""
    done = subprocess.run(
        [*golden.COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(table: Path) -> dict[str, list[float]]:
    """Return the columns of a CSV file of numbers."""
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [float(row[i]) for row in rows] for i, name in enumerate(header)}


def assert_same(found: Any, recorded: Any, *, bitwise: bool) -> None:
    first = next(golden.differences(found, recorded, bitwise=bitwise), None)
    assert first is None, first


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("store", ["sales", "squares"])
def test_an_old_store_is_trained_on(old: Path, store: str) -> None:
    out = ("--out", "runs/new", "--rounds", "3", "--workers", "2", "--scheme", "uncoded")
    erasurehead(old, "train", f"stores/{store}", *out, "--no-figures", "--quiet")
    assert len(records(old / "runs" / "new")) == 3


def test_preparing_the_same_table_again_keeps_the_old_store(old: Path) -> None:
    told = erasurehead(
        old,
        *("prepare", "csv", "--from", "sales.csv", "--out", "stores/sales"),
        *("--option", "target=sold"),
    )
    assert "there already" in told


def test_preparing_the_same_table_elsewhere_makes_the_same_store(
    old: Path, same_kernels: bool
) -> None:
    """The arrays to the last byte; the manifest but for the words of its format, which has another
    version, and the digest of what the columns stand for, which is taken of more words."""
    erasurehead(
        old,
        *("prepare", "csv", "--from", "sales.csv", "--out", "stores/again"),
        *("--option", "target=sold"),
    )
    before, after = old / "stores" / "sales", old / "stores" / "again"
    names = {path.name for path in before.iterdir()} - {"columns.json"}
    # What follows from the rows is there besides; it is no part of the content.
    besides = {"column_squares.npy", "encoding.json"}
    assert {path.name for path in after.iterdir()} == names | besides
    for name in names:
        if name.endswith(".npy"):
            np.testing.assert_allclose(np.load(after / name), np.load(before / name), rtol=1e-9)
        if same_kernels and name != "manifest.json":
            assert (after / name).read_bytes() == (before / name).read_bytes(), name
    if same_kernels:
        told, found = (json.loads((d / "manifest.json").read_text()) for d in (before, after))
        assert (told.pop("format_version"), told.pop("task")) == (1, "logistic")
        assert (found.pop("format_version"), found.pop("target")) == (4, "two classes")
        del found["arrays"]["column_squares"]
        assert told["provenance"]["options"].pop("task") == "auto"
        assert found["provenance"]["options"].pop("labels") == "auto"
        notes = told["provenance"]["notes"]
        assert found.pop("classes") == [notes.pop("-1"), notes.pop("+1")]
        assert found.pop("encoding") is not None
        for manifest in (told, found):
            del manifest["provenance"]["notes"]["columns"], manifest["provenance"]["encoding"]
        new = found["provenance"]["options"]
        found["provenance"]["options"] = {k: new[k] for k in told["provenance"]["options"]}
        assert found == told


@pytest.mark.parametrize("run", ["finished", "master"])
def test_an_old_run_is_reported_on(old: Path, run: str) -> None:
    erasurehead(old, "report", f"runs/{run}")
    scheme = {"finished": "agc:c=3,delta=0.5", "master": "uncoded"}[run]
    assert scheme in (old / "runs" / run / "report.html").read_text(encoding="utf-8")


def test_an_old_run_is_made_into_a_trace(old: Path) -> None:
    assert "24 rounds of 6 workers" in erasurehead(old, "trace", "runs/finished")


@pytest.mark.parametrize(
    ("data", "predicted"),
    [
        ("stores/sales", "predicted-store.csv"),
        ("later-sales.csv", "predicted-table.csv"),
    ],
)
def test_an_old_model_predicts_what_it_predicted(
    old: Path, data: str, predicted: str, same_kernels: bool
) -> None:
    """The margins and the probabilities of the second class, which have its name today."""
    erasurehead(old, "predict", "runs/finished", data, "--out", "new.csv")
    with (old / "new.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    today = {
        "label": [{"no": -1.0, "yes": 1.0}[row["label"]] for row in rows],
        "margin": [float(row["margin of yes"]) for row in rows],
        "probability": [float(row["probability of yes"]) for row in rows],
    }
    assert_same(today, numbers(old / predicted), bitwise=same_kernels)


def test_an_old_model_without_its_store_cannot_read_a_table(old: Path) -> None:
    """Models of that version did not hold how their data were encoded."""
    (old / "stores" / "sales").rename(old / "stores" / "moved")
    told = subprocess.run(
        [*golden.COMMAND, "predict", "runs/finished", "later-sales.csv"],
        cwd=old,
        capture_output=True,
        text=True,
    )
    (old / "stores" / "moved").rename(old / "stores" / "sales")
    assert told.returncode == 2
    assert "and a model of its version does not hold how" in told.stderr


@pytest.mark.parametrize("name", ["interrupted", "interrupted-cached"])
def test_a_killed_run_goes_on_to_where_the_uninterrupted_one_ended(
    old: Path, name: str, same_kernels: bool
) -> None:
    """It goes on with its own settings from the last checkpoint. The cached run's sums depend on
    the order of arrivals, so its last bits are not known; who arrives in which round is."""
    run = old / "runs" / name
    before = records(run)
    erasurehead(
        old, "train", "--config", f"runs/{name}/config.yaml", "--resume", "--no-figures", "--quiet"
    )
    assert f"resuming after round {LAST_CHECKPOINT}" in (run / "events.log").read_text()
    after = records(run)
    assert after[:LAST_CHECKPOINT] == before[:LAST_CHECKPOINT]
    with np.load(run / "model.npz") as model:
        theta = model["theta"].tolist()
    found = {
        "theta": theta,
        "rounds": len(after),
        "train_loss": [each["train_loss"] for each in after],
        "metrics": after[-1]["metrics"],
    }
    recorded = json.loads((old / f"{name}-end.json").read_text())
    assert_same(found, recorded, bitwise=same_kernels and name == "interrupted")


def test_a_killed_run_is_read_as_far_as_it_came(old: Path) -> None:
    """A model is not there before the end, and a finished run is not run again."""
    told = subprocess.run(
        [*golden.COMMAND, "report", "runs/interrupted"], cwd=old, capture_output=True, text=True
    )
    assert told.returncode != 0
    assert "unfinished" in told.stderr
    before = (old / "runs" / "finished" / "rounds.jsonl").read_bytes()
    erasurehead(
        old, "train", "--config", "runs/finished/config.yaml", "--resume", "--no-figures", "-q"
    )
    assert (old / "runs" / "finished" / "rounds.jsonl").read_bytes() == before
