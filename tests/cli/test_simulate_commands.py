"""simulate, trace and plan from the command line, on a small store."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest
import yaml

from erasurehead.datasets.prepare import prepare
from erasurehead.runs import Run
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.main import main
from erasurehead_local.train import plan_here

DELAY = ["--delay", "exponential:mean_s=0.2"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "400", "columns": "40", "nnz": "5", "labels": "two-classes", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


def simulated(store: Path, out: Path, *more: str) -> Run:
    arguments = ["simulate", str(store), "--workers", "4", "--rounds", "12", *DELAY]
    arguments += ["--scheme", "agc:c=2,r=2", "--out", str(out), "--no-figures", *more]
    assert main(arguments) == 0
    return Run.open(out)


def test_a_simulated_run_is_written_like_a_real_one(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = simulated(store, tmp_path / "run", "--pass-s", "0.4", "--evaluate-every-rounds", "5")
    said = capsys.readouterr().out
    assert "virtual time" in said
    assert "theory" in said
    assert "Lemma 2" in said
    assert run.summary is not None
    assert run.start is not None
    assert run.start.run.startswith("virtual-")
    assert [r.round for r in run.records if r.metrics] == [5, 10, 12]
    assert run.summary.metrics == run.records[-1].metrics
    assert run.theta.any()
    # Two of four tasks: half of a pass, on top of the delay.
    assert all(a.compute_s == pytest.approx(0.2) for r in run.records for a in r.arrivals)
    assert run.summary.wall_s == pytest.approx(run.records[-1].closed_s)
    assert main(["report", str(tmp_path / "run")]) == 0


def test_the_trace_of_a_run_is_replayed(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = simulated(store, tmp_path / "run", "-q")
    assert main(["trace", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "measured: arrived in its round" in said
    assert "12 rounds of 4 workers" in said
    file = run.path / "trace.npz"
    assert main(["trace", str(run.path)]) == 0  # over the earlier one
    model = (run.path / "model.npz").read_bytes()
    assert main(["trace", str(run.path), "--out", str(run.path / "model.npz")]) == 2
    assert "is not a trace that this command wrote" in capsys.readouterr().err
    assert (run.path / "model.npz").read_bytes() == model
    again = simulated(store, tmp_path / "again", "-q", "--delay", f"trace:file={file}")
    assert again.summary is not None
    assert run.summary is not None
    assert again.summary.wall_s == pytest.approx(run.summary.wall_s)
    assert np.array_equal(again.theta, run.theta)


def test_a_disk_that_takes_no_report_does_not_make_a_run_fail(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # no file may be longer
    try:
        simulated(store, out, "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (out / "report.html").exists()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    told = " ".join(capsys.readouterr().out.split())
    assert "File too large; make room, or name another file with --out; the run itself is" in told
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").stat().st_size > 20_000


def test_gradient_free_needs_no_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["simulate", "--gradient-free", "--workers", "200", "--rounds", "50", *DELAY]
    assert main([*arguments, "--scheme", "agc:c=4,delta=0.37,scale=none"]) == 0
    said = capsys.readouterr().out
    assert "erased share of tasks" in said
    assert "rounds closed by" in said
    assert list(tmp_path.iterdir()) == []
    assert main([*arguments, "--scheme", "agc:c=4,delta=0.37", "-q", "--out", "sim"]) == 0
    assert capsys.readouterr().out == ""
    with np.load(tmp_path / "sim" / "timeline.npz") as columns:
        assert columns["duration_s"].shape == columns["decode_error"].shape == (50,)
    assert main([*arguments, "--out", "sim"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_plan_is_a_configuration_that_train_takes(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan"
    arguments = ["plan", str(store), "--workers", "3", "--rounds", "60", *DELAY, "--step", "2.0"]
    arguments += ["--target", "loss=0.66", "--max-load", "2", "--seeds", "2", "--finalists", "1"]
    assert main([*arguments, "--pass-s", "0.1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "on the frontier" in said
    assert "smallest and largest of 2 seeds" in said
    planned = load(RunSettings, {}, config=out / "plan.yaml", environment={})
    found = json.loads((out / "plan.json").read_text())
    assert planned.coding.scheme == found["best"]
    assert planned.coding.workers == 3
    assert planned.straggling.delay == DELAY[1]
    assert planned.run.out is None
    assert any(t["on_frontier"] and t["scheme"] == found["best"] for t in found["trials"])
    assert (out / "frontier.png").stat().st_size > 1000
    # It runs: here under a virtual clock, and reaches the target.
    plan_here(planned)
    again = simulated_config(out / "plan.yaml", tmp_path / "run")
    assert again.records[-1].train_loss < 0.67


def test_a_quiet_run_writes_the_same_files(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(store, tmp_path / "loud", "--figures")
    capsys.readouterr()
    simulated(store, tmp_path / "quiet", "--figures", "-q")
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("not converged: the loss still falls by ")
    loud, quiet = ({p.name for p in (tmp_path / n).iterdir()} for n in ("loud", "quiet"))
    assert quiet == loud >= {"report.html", "rounds.png"}


def simulated_config(config: Path, out: Path) -> Run:
    arguments = ["simulate", "--config", str(config), "--out", str(out), "-q", "--no-figures"]
    assert main(arguments) == 0
    return Run.open(out)


def test_a_plan_for_a_recorded_cluster(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = simulated(store, tmp_path / "run", "-q", "--pass-s", "0.4")
    out = tmp_path / "plan"
    arguments = ["plan", str(store), "--trace", str(run.path), "--target", "loss=0.6"]
    arguments += ["--max-load", "1", "--seeds", "2", "--finalists", "1", "--step", "2.0", "-q"]
    assert main([*arguments, "--out", str(out)]) == 0
    planned = yaml.safe_load((out / "plan.yaml").read_text())
    assert planned["coding"]["workers"] == 4
    # The run is meant for the recorded cluster, which has its delays already.
    assert planned["straggling"]["delay"] == DELAY[1]
    assert (out / "trace.npz").exists()
    times = {tuple(t["times_s"]) for t in json.loads((out / "plan.json").read_text())["trials"]}
    # Schemes that were far behind with the first seed are not tried again. Some rounds are needed
    # for this target, so that seeds hardly draw the same ones.
    pairs = [pair for pair in times if len(pair) == 2]
    assert pairs
    assert all(first != second for first, second in pairs), "seeds resample the trace"
    capsys.readouterr()
    assert main([*arguments, "--workers", "5", "--out", str(tmp_path / "other")]) == 2
    assert "has 4 workers, but --workers is 5" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    # What a file says counts as much as what is said here.
    config = tmp_path / "config.yaml"
    for given, words in (
        ("coding: {workers: 7}", "has 4 workers, but --workers is 7"),
        # It is checked with the recorded workers, not with as many as there are by default.
        ("membership: {min_workers: 5}", "min_workers=5 can never be met by workers=4"),
        (
            "straggling: {delay: bimodal:base_s=3}",
            "delay=bimodal:base_s=3 is given as well",
        ),
    ):
        config.write_text(given + "\n")
        more = ["--config", str(config), "--out", str(tmp_path / "other")]
        assert main([*arguments, *more]) == 2
        assert words in capsys.readouterr().err


BAD = [
    (["simulate"], "setting 'store' is missing"),
    (["simulate", "nowhere"], "with --delay none and without --pass-s nothing takes any time"),
    (["simulate", "nowhere", "--pass-s", "1"], "nowhere"),
    # It has a delay now and then only, so it is the store that is missed.
    (["simulate", "nowhere", "--delay", "gilbert-elliott:p_gb=0.01,p_bg=0.9,slow_s=1"], "nowhere"),
    (["simulate", "--gradient-free", *DELAY, "--rounds", "1" + 16 * "0"], "not enough memory"),
    (["simulate", "s", "--delay", "exponential:mean_s=1e308"], "above 0 and at most 1e+09"),
    (["simulate", "nowhere", "--pass-s", "-1"], "a pass over all rows cannot take -1 s"),
    (["simulate", "--gradient-free", *DELAY, "--scheme", "egc:c=99"], "c=99"),
    (["trace", "nowhere"], "holds no run"),
    (["trace"], "Missing argument 'RUN'"),
    (["plan", "nowhere"], "give what to reach as --target METRIC=VALUE"),
    (["plan", "nowhere", "--target", "acu=1"], "did you mean 'auc'"),
    (["plan", "--target", "auc=0.6"], "setting 'store' is missing"),
    (["plan", "nowhere", "--target", "auc=0.6"], "nothing takes any time"),
    (["plan", "nowhere", "--target", "auc=0.6", "--pass-s", "1"], "nowhere"),
    (["plan", "s", "--target", "auc=0.6", "--trace", "nowhere"], "holds no run"),
    (["plan", "s", "--target", "auc=0.6", "--trace", "r", *DELAY], "leave --delay out"),
    (["plan", "s", "--target", "auc=0.6", "--trace", "r", "--pass-s", "1"], "leave --pass-s out"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_leaves_nothing(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("erasurehead: ")
    assert expected in line
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_cannot_be_written_is_one_sentence_before_the_search(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("kept")
    arguments = ["plan", str(store), "--target", "loss=0.69", "--workers", "4", *DELAY]
    assert main([*arguments, "--out", str(tmp_path / "file" / "plan")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"cannot write .*/file/plan: Not a directory; name another", said.err)
    assert main([*arguments, "--out", str(tmp_path / "file")]) == 2
    assert "is a file; name a directory with --out" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def test_a_load_beyond_the_workers_is_one_sentence(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["plan", str(store), "--target", "loss=0.69", "--max-load", "13", *DELAY]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "--max-load 13 does not fit 12 workers" in said.err
    assert said.out == "", "before anything is trained"
    assert list(tmp_path.iterdir()) == []
