"""The commands end to end: real processes on a small made-up store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import dump_svmlight_file
from sklearn.metrics import log_loss, roc_auc_score

from erasurehead.datasets.store import Store
from erasurehead.rows import CsrRows
from erasurehead.runs import Claim, Run
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.commands.compare import usual_schemes
from erasurehead_cli.main import main
from tests.support.scraped_metrics import free_port

SMALL = ["--workers", "3", "--rounds", "6", "--evaluate-every-rounds", "2", "--step", "2.0"]


def erasurehead(*arguments: object, cwd: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "erasurehead_cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == expect, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store of 400 training rows and 31 columns."""
    path = tmp_path_factory.mktemp("place")
    options = ["-o", "rows=500", "-o", "columns=31", "-o", "nnz=3"]
    done = erasurehead("prepare", "synthetic", "--out", "store", *options, cwd=path)
    assert "store: " in done.stdout
    assert "prepared in" in done.stdout
    done = erasurehead("prepare", "synthetic", "--out", "store", *options, cwd=path)
    assert "there already" in done.stdout
    return path


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    """A finished run."""
    erasurehead("train", "store", *SMALL, "--scheme", "egc:c=3", "--out", "trained", cwd=place)
    return place / "trained"


def test_train_writes_a_whole_run(place: Path) -> None:
    done = erasurehead("train", "store", *SMALL, "--scheme", "uncoded", cwd=place)
    [path] = [p for p in (place / "runs").iterdir() if p.name.endswith("-uncoded")]
    run = Run.open(path)
    assert run.summary is not None
    assert run.summary.exit_code == 0
    assert [record.round for record in run] == [1, 2, 3, 4, 5, 6]
    assert [record.round for record in run if record.metrics] == [2, 4, 6]
    assert run.theta.shape == (Store.open(place / "store").manifest.columns,)
    assert run.settings.coding.workers == 3
    assert run.settings.run.out == Path("runs") / path.name
    assert "round=1/6" in done.stdout
    assert str(Path("runs") / path.name / "model.npz") in done.stdout
    assert (path / "learning.png").stat().st_size > 5000
    assert "ended after 6 rounds" in (path / "events.log").read_text()


def test_a_run_directory_is_never_written_twice(place: Path, trained: Path) -> None:
    before = (trained / "rounds.jsonl").read_bytes()
    done = erasurehead("train", "store", *SMALL, "--out", "trained", cwd=place, expect=2)
    assert "already holds a run" in done.stderr
    assert (trained / "rounds.jsonl").read_bytes() == before


def test_a_run_that_goes_on_elsewhere_is_not_resumed(
    place: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    again = ["train", "store", *SMALL, "--scheme", "egc:c=3", "--resume", "--out", "trained", "-q"]
    with Claim(trained):
        assert main(again) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert (
            f"a run goes on in trained (host {os.uname().nodename}, process {os.getpid()})" in line
        )
    assert main([*again, "--no-figures"]) == 0


def test_a_run_that_was_never_begun_is_not_resumed_in_silence(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in the name of its directory is what a user sees then."""
    monkeypatch.chdir(place)
    command = ["train", "store", *SMALL, "--resume", "--out", "slip", "-q", "--no-figures"]
    assert main(command) == 0
    events = Path("slip/events.log").read_text()
    assert "there is no run in slip to resume; a new one begins" in events


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--scheme", "agx:c=3"], "agx"),
        (["--scheme", "agc:c=3,r=9"], "r=9"),
        (["--scheme", "egc:c=0"], "c=0"),
        (["--scheme", "egc:c=7"], "7"),
        (["--delay", "exponential:mean=1"], "mean_s"),
        (["--step", "fast"], "fast"),
        (["--model", "hinge"], "hinge"),
        (["--optimizer", "adam"], "adam"),
        (["--tasks", "100000"], "100000"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_starts(
    place: Path,
    options: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    assert main(["train", "store", "--workers", "3", *options, "--out", "refused"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not (place / "refused").exists()


def test_compare_ends_with_table_figures_and_models(place: Path) -> None:
    names = ["uncoded", "egc:c=3", "agc:c=3,r=1 with nesterov"]
    schemes = [word for name in names for word in ("--scheme", f"{name} for 6 rounds")]
    without_rounds = [*SMALL[:2], *SMALL[4:]]
    done = erasurehead(
        "compare", "store", *without_rounds, *schemes, "--delay", "exponential:mean_s=0.02",
        "--out", "both", "--optimum",
        cwd=place,
    )  # fmt: skip
    held = json.loads((place / "both" / "comparison.json").read_text())
    assert [o["scheme"] for o in held["outcomes"]] == names
    assert all(0 < o["way_left"] < 1 for o in held["outcomes"])
    assert held["baseline"] == "uncoded"
    assert held["outcomes"][0]["speedup_to_target"] == 1.0
    assert all(o["rounds"] == 6 for o in held["outcomes"])
    for name in ("metric-time.png", "round-times.png", "speedup.png", "comparison.md"):
        assert (place / "both" / name).stat().st_size > 100
        assert f"both/{name}" in done.stdout
    uncoded, exact, _ = (Run.open(place / "both" / Path(o["path"]).name) for o in held["outcomes"])
    np.testing.assert_allclose(exact.theta, uncoded.theta, rtol=1e-10)
    assert exact.settings.run.seed == uncoded.settings.run.seed
    refused = erasurehead("compare", "store", *SMALL, "--out", "both", cwd=place, expect=2)
    assert "both is not empty" in refused.stderr


def test_the_usual_comparison_fits_few_workers() -> None:
    assert usual_schemes(12) == ["uncoded", "egc:c=3", "agc:c=3,delta=0.37", "cached"]
    assert usual_schemes(2) == ["uncoded", "egc:c=2", "agc:c=2,delta=0.37", "cached"]
    assert usual_schemes(1) == ["uncoded"]
    for workers in range(2, 14):
        settings = load(RunSettings, {"store": "s", "workers": workers}, environment={})
        assert settings.coding.scheme in usual_schemes(workers), "what wins by default is shown"
        for scheme in usual_schemes(workers):
            Coding.of(parse(scheme), workers, None, 0)


def test_compare_checks_every_scheme_before_it_runs_the_first(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    schemes = ["--scheme", "uncoded", "--scheme", "agc:c=3,r=99"]
    assert main(["compare", "store", *SMALL, *schemes, "--out", "never"]) == 2
    assert "99" in capsys.readouterr().err
    assert not (place / "never").exists()
    assert main(["compare", "store", *SMALL, "--metric", "acuracy", "--out", "never"]) == 2
    assert "no metric 'acuracy' (did you mean 'accuracy'?)" in capsys.readouterr().err
    assert not (place / "never").exists()


def dense(rows: CsrRows) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    values = np.ones(len(rows.indices)) if rows.values is None else rows.values
    shape = (len(rows.labels), rows.n_columns)
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = csr_array(
        (values, rows.indices, rows.indptr), shape=shape
    ).toarray()
    return matrix


@pytest.mark.parametrize("split", ["test", "train"])
def test_predictions_are_the_models_and_its_metrics_are_scikit_learns(
    place: Path, trained: Path, split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "p.csv"
    arguments = [trained, place / "store", "--split", split, "--out", out]
    assert main(["predict", *map(str, arguments)]) == 0
    store = Store.open(place / "store")
    rows = store.train if split == "train" else store.test
    margins = dense(rows) @ Run.open(trained).theta
    headings = "label,class,margin of +1,probability of -1,probability of +1"
    assert out.read_text().splitlines()[0] == headings
    label, found, margin, other, probability = np.loadtxt(out, delimiter=",", skiprows=1).T
    np.testing.assert_array_equal(found, np.where(margins > 0, 1, -1))
    np.testing.assert_allclose(other, 1 / (1 + np.exp(margins)))
    np.testing.assert_array_equal(label, rows.labels)
    np.testing.assert_allclose(margin, margins, atol=1e-12)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-margins)))
    first, second = capsys.readouterr().out.splitlines()
    metrics = {key: float(value) for key, value in (p.split("=") for p in first.split())}
    assert metrics["auc"] == pytest.approx(roc_auc_score(label, margins), abs=1e-5)
    assert metrics["log_loss"] == pytest.approx(log_loss(label, probability), abs=1e-5)
    assert second == f"{len(rows.labels)} rows: {out}"
    if split == "test":
        recorded = Run.open(trained).summary
        assert recorded is not None
        assert metrics["auc"] == pytest.approx(recorded.metrics["auc"], abs=1e-5)


@pytest.mark.parametrize("zero_based", [True, False])
def test_a_svmlight_file_gets_the_same_predictions(
    place: Path, trained: Path, tmp_path: Path, zero_based: bool
) -> None:
    """1. Write the test rows with labels 0 and 1, as they are. 2. Read them back: the same margins.
    3. Leave their last column out, and have the constant column put in its place."""
    test = Store.open(place / "store").test
    theta = Run.open(trained).theta
    matrix, labels = dense(test), (test.labels + 1) / 2
    constant = np.column_stack([matrix[:, :-1], np.ones(len(labels))])
    for columns, flag, expected in (
        (matrix, "--no-constant", matrix @ theta),
        (matrix[:, :-1], "--constant", constant @ theta),
    ):
        file, out = tmp_path / "rows.svm", tmp_path / "p.csv"
        dump_svmlight_file(columns, labels, str(file), zero_based=zero_based)
        first = ["--first-column", "0" if zero_based else "1"]
        arguments = [trained, file, flag, "--out", out, *first]
        assert main(["predict", *map(str, arguments)]) == 0
        label, _, margin, _, _ = np.loadtxt(out, delimiter=",", skiprows=1).T
        np.testing.assert_array_equal(label, test.labels)
        np.testing.assert_allclose(margin, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 2:x\n", "cannot be read as svmlight"),
        ("1 2:1\n-1 999:1\n", "is not a svmlight file of"),
        ("1 2:1\n2 3:1\n3 4:1\n", "has 3 distinct labels"),
    ],
)
def test_bad_rows_are_one_sentence(
    trained: Path,
    tmp_path: Path,
    text: str,
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "rows.svm").write_text(text)
    assert main(["predict", str(trained), str(tmp_path / "rows.svm")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert expected in line


def test_rows_without_labels_get_predictions_but_no_metrics(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.svm").write_text("0 2:1\n0 3:1\n")
    arguments = [trained, tmp_path / "rows.svm", "--out", tmp_path / "p.csv"]
    assert main(["predict", *map(str, arguments)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("2 rows: ")
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith(",")
    assert "has no column 0, so its columns are taken to count from 1; --first" in told.err


def test_predictions_are_written_over_nothing_but_predictions(
    place: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1. Not over a user's table. 2. Over earlier predictions. 3. Not over those it reads."""
    rows, out = tmp_path / "rows.svm", tmp_path / "p.csv"
    rows.write_text("0 2:1\n1 3:1\n")
    for mine in (rows, place / "store" / "manifest.json", trained / "model.npz"):
        before = mine.read_bytes()
        assert main(["predict", str(trained), str(rows), "--out", str(mine)]) == 2
        assert f"{mine} is " in capsys.readouterr().err
        assert mine.read_bytes() == before
    for _ in range(2):
        assert main(["predict", str(trained), str(rows), "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["predict", str(trained), str(out), "--out", str(out)]) == 2
    assert capsys.readouterr().err


def test_prepare_takes_the_old_name_of_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels were once described by the loss that was taken for them."""
    arguments = ["prepare", "synthetic", "--out", str(tmp_path / "s")]
    arguments += ["-o", "rows=50", "-o", "columns=5", "-o", "nnz=2"]
    assert main([*arguments, "-o", "task=least-squares"]) == 0
    told = capsys.readouterr()
    assert "option task is called labels now: give labels=numbers" in told.err
    assert "5 columns, numbers, prepared in" in told.out
    assert main([*arguments, "-o", "labels=numbers"]) == 0
    told = capsys.readouterr()
    assert not told.err
    assert "there already" in told.out


def test_a_model_of_other_columns_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(tmp_path / "other")
    options = ["-o", "rows=100", "-o", "columns=11", "-o", "nnz=2"]
    assert main(["prepare", "synthetic", "--out", other, *options]) == 0
    assert main(["predict", str(trained), other]) == 2
    assert "columns, but the model of" in capsys.readouterr().err


def test_a_table_of_other_categories_is_refused_although_its_columns_are_as_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Colours of one table, fruits of the other: the same numbers of columns, another meaning."""

    def table(name: str, words: list[str], scale: float) -> str:
        rows = [f"{words[i % 3]},{scale * (i % 7)},{i % 2}" for i in range(60)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["word,size,hit", *rows]) + "\n")
        out = str(tmp_path / name)
        source = str(tmp_path / f"{name}.csv")
        assert main(["prepare", "csv", "--from", source, "-o", "target=hit", "--out", out]) == 0
        return out

    colours = table("colours", ["red", "green", "blue"], 1.0)
    fruits = table("fruits", ["apple", "fig", "pear"], 1.0)
    larger = table("larger", ["red", "green", "blue"], 2.0)
    run = str(tmp_path / "run")
    arguments = ["simulate", colours, "--workers", "3", "--rounds", "3", "--pass-s", "1", "-q"]
    arguments += ["--scheme", "uncoded"]
    assert main([*arguments, "--out", run]) == 0
    capsys.readouterr()
    assert main(["predict", run, colours]) == 0
    for other in (fruits, larger):
        assert main(["predict", run, other]) == 2
        assert "stand for other categories or scales" in capsys.readouterr().err


def test_new_rows_of_a_table_are_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1. A model of a CSV file. 2. Rows of a later file, without a target and with a new word.
    3. With the target: metrics too."""
    words = ["red", "green", "blue"]
    rows = [f"{words[i % 3]},{i % 7},{'hit' if i % 3 else 'miss'}" for i in range(60)]
    (tmp_path / "old.csv").write_text("\n".join(["word,size,outcome", *rows]) + "\n")
    store, run = str(tmp_path / "store"), str(tmp_path / "run")
    source = ["--from", str(tmp_path / "old.csv"), "-o", "target=outcome"]
    assert main(["prepare", "csv", *source, "--out", store]) == 0
    arguments = ["--workers", "3", "--rounds", "200", "--pass-s", "1", "-q", "--scheme", "uncoded"]
    assert main(["simulate", store, *arguments, "--out", run, "--no-figures"]) == 0
    new = tmp_path / "new.csv"
    new.write_text("size,word\n3,red\n4,green\n5,blue\n6,violet\n")
    capsys.readouterr()
    assert main(["predict", run, str(new)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("4 rows: ")
    assert said.err == "rows with a 'word' that training had not: 1 (predicted without it)\n"
    predicted = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert predicted["label"].isna().all()
    assert list(predicted["class"][:3]) == ["miss", "hit", "hit"]
    assert list(predicted["probability of miss"][:3] > 0.5) == [True, False, False]
    new.write_text("outcome,size,word\nmiss,3,red\nhit,4,green\nhit,5,blue\n")
    assert main(["predict", run, str(new)]) == 0
    assert "accuracy=1 " in capsys.readouterr().out
    new.write_text("outcome,size\nmiss,3\n")
    assert main(["predict", run, str(new)]) == 2
    assert "new.csv has no column 'word', which the model was trained on" in capsys.readouterr().err


def test_a_master_and_workers_of_their_own_commands(place: Path) -> None:
    """1. Three workers look for a master. 2. It comes, trains and ends. 3. All end with 0."""
    address = f"tcp://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "erasurehead_cli", "worker", "--connect", address, "--quiet"]
    workers = [
        subprocess.Popen([*command, "--name", f"w{n}", "--retry-limit-s", "120"], cwd=place)
        for n in range(3)
    ]
    try:
        erasurehead(
            "master", "store", *SMALL, "--scheme", "uncoded", "--bind", address, "--out", "served",
            cwd=place,
        )  # fmt: skip
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len(Run.open(place / "served").records) == 6


LONG = ["--workers", "3", "--rounds", "100000", "--delay", "exponential:mean_s=0.05"]
LONG += ["--until", "none"]


def end_code(command: list[str], run: Path, number: int, cwd: Path) -> int:
    """Begin a long run, send a signal once a round is over, and return the exit code.

    As a terminal does it: to the whole group, workers included.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "erasurehead_cli", *command],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        limit, rounds = time.monotonic() + 60, run / "rounds.jsonl"
        while not rounds.exists() or not rounds.stat().st_size:
            assert time.monotonic() < limit
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        return process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_ends_in_order(place: Path) -> None:
    """1. A long run is under way. 2. SIGINT. 3. Exit code 130, and the directory is whole."""
    out = place / "interrupted"
    assert end_code(["train", "store", *LONG, "--out", str(out)], out, signal.SIGINT, place) == 130
    run = Run.open(out)
    assert run.summary is not None
    assert run.summary.exit_code == 130
    assert run.summary.rounds == len(run.records) > 0
    assert run.theta.any()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_comparison_that_is_asked_to_end_compares_nothing(place: Path, number: int) -> None:
    """A run that a signal ends was not slower, or worse, than others: it says nothing of them."""
    out = place / f"compared-{number}"
    schemes = ["--scheme", "uncoded", "--scheme", "egc:c=3"]
    command = ["compare", "store", *LONG, *schemes, "--out", str(out)]
    assert end_code(command, out / "1-uncoded", number, place) == 130
    assert [path.name for path in out.iterdir()] == ["1-uncoded"]
