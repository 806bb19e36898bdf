"""Who holds a run up, on the console and in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.runs import Run
from erasurehead_cli.main import main
from erasurehead_cli.report.page import report_page
from tests.support.played_runs import MakeRun


@pytest.fixture
def slow_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A simulated run in which two workers of six are slow in each round."""
    options = {"rows": "60", "columns": "8", "nnz": "3", "seed": "1"}
    store = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    out = tmp_path / "run"
    asked = ["simulate", str(store), "--workers", "6", "--scheme", "uncoded:r=4", "--rounds", "60"]
    asked += ["--delay", "persistent:count=2,slow_s=5,jitter_s=0.1", "--until", "none", "-q"]
    assert main([*asked, "--out", str(out), "--no-figures"]) == 0
    capsys.readouterr()
    return out


def test_slow_workers_are_named_with_what_waiting_for_them_would_have_cost(
    slow_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stragglers", str(slow_run)]) == 0
    said = capsys.readouterr().out
    assert said.count("chronic since ") == 2
    assert "worker virtual-" in said
    assert "Gone" not in said
    assert "times as long" in said
    page = report_page([Run.open(slow_run)])
    assert "Who held it up" in page
    assert "Chronic stragglers: worker virtual-" in page
    events = (slow_run / "events.log").read_text()
    assert events.count("has become a chronic straggler") == 2


def test_a_run_that_goes_on_is_read_and_one_without_rounds_is_not(
    slow_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (slow_run / "summary.json").unlink()
    assert main(["stragglers", str(slow_run)]) == 0
    (slow_run / "rounds.jsonl").write_bytes(b"")
    capsys.readouterr()
    assert main(["stragglers", str(slow_run)]) == 2
    assert "has closed no round yet" in capsys.readouterr().err


def test_a_run_of_an_older_version_has_slots_without_names(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    assert main(["stragglers", str(run.path)]) == 0
    assert "No chronic straggler." in capsys.readouterr().out
