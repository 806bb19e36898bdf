"""The master is killed at random instants and started again; nothing is lost or done twice."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.settings.tree import WorkerSettings
from erasurehead_local.cluster import LocalCluster
from tests.support.forked_commands import Start, forked_commands
from tests.support.scraped_metrics import free_port, scrape

FOREVER = 10**6
"""Rounds, of a run that is killed: it shall not be over before."""

KILLS = 20
LIMIT_S = 120.0
SILENCE_S = 60.0
"""After so long workers greet a master that says nothing."""


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    with forked_commands() as made:
        yield made


def command(small: Path, out: Path, port: int, rounds: int = FOREVER) -> list[str]:
    return [
        *("master", str(small)),
        *("--bind", f"tcp://127.0.0.1:{port}", "--workers", "3", "--scheme", "egc:c=3"),
        *("--rounds", str(rounds), "--until", "none"),
        *("--step", "0.5", "--optimizer", "nesterov"),
        *("--membership-silence-limit-s", str(SILENCE_S)),
        *("--delay", "exponential:mean_s=0.02", "--evaluate-every-rounds", "7"),
        *("--checkpoint-every-rounds", "5", "--out", str(out), "--resume", "--quiet"),
    ]


def ends_well(process: ForkServerProcess, limit_s: float = 2 * LIMIT_S) -> bool:
    process.join(limit_s)
    return process.exitcode == 0


def kill(process: ForkServerProcess) -> None:
    process.kill()
    process.join()


def rounds_on_disk(out: Path) -> int:
    path = out / "rounds.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def checkpoints(out: Path) -> list[Path]:
    """Return those of a run, the oldest first."""
    return sorted((out / "checkpoint").glob("*.ckpt"))


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.002)


def theta(out: Path) -> np.ndarray:
    with np.load(out / "model.npz") as model:
        return np.array(model["theta"])


def test_killed_at_twenty_instants_it_ends_where_the_uninterrupted_run_ends(
    small: Path, tmp_path: Path, start: Start
) -> None:
    """1. A run whose master is killed 20 times; the workers stay. 2. The same run in calm.

    The models are equal to the last bit, every round is recorded once, and workers that were never
    restarted served all of it.
    """
    rng = np.random.default_rng(int.from_bytes(tmp_path.name.encode()[-4:], "big"))
    port = free_port()
    with LocalCluster() as cluster:
        cluster.start(
            [WorkerSettings(connect=f"tcp://127.0.0.1:{port}", name=f"w{i}") for i in range(3)]
        )
        out = tmp_path / "killed"
        resumable = 0
        for _ in range(KILLS):
            resumable += bool(checkpoints(out))
            # Somewhere in the next rounds, wherever it is then.
            target = rounds_on_disk(out) + int(rng.integers(1, 20))
            process = start(command(small, out, port))
            wait_for(partial(reached, out, target), f"{target} rounds")
            time.sleep(float(rng.uniform(0.0, 0.01)))
            assert process.is_alive(), "it ended before it could be killed"
            kill(process)
        cluster.poll()
        assert set(cluster.pids) == {"w0", "w1", "w2"}, "a worker did not outlive the master"
        resumable += bool(checkpoints(out))
        rounds = rounds_on_disk(out) + 20
        http_port = free_port()
        watched = ["--http-bind", str(http_port), "--http-linger"]
        last = start([*command(small, out, port, rounds), *watched])
        metrics: dict[str, float] = {}

        def is_over() -> bool:
            with contextlib.suppress(OSError):  # it does not listen yet
                metrics.update(scrape(http_port))
            return "erasurehead_exit_code" in metrics

        wait_for(is_over, "the end")
        assert metrics["erasurehead_exit_code"] == 0
        assert metrics["erasurehead_round"] == rounds
        assert "erasurehead_checkpoint_age_seconds" in metrics
        last.terminate()
        assert ends_well(last)
        # That master told its workers to stop; the other run gets its own.
        assert cluster.wait(LIMIT_S)
        cluster.start(
            [WorkerSettings(connect=f"tcp://127.0.0.1:{port}", name=f"v{i}") for i in range(3)]
        )
        assert ends_well(start(command(small, tmp_path / "calm", port, rounds)))
    assert np.array_equal(theta(out), theta(tmp_path / "calm"))
    records = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert [r["round"] for r in records] == list(range(1, rounds + 1))
    assert all(r["closed_s"] >= r["opened_s"] for r in records)
    calm_lines = (tmp_path / "calm" / "rounds.jsonl").read_text().splitlines()
    calm_records = [json.loads(line) for line in calm_lines]
    assert [r["train_loss"] for r in records] == [r["train_loss"] for r in calm_records]
    assert [r["metrics"] for r in records] == [r["metrics"] for r in calm_records]
    events = (out / "events.log").read_text()
    assert events.count("resuming after round") == resumable >= KILLS // 2
    # Workers that were never restarted are there again by their heartbeats, long before they would
    # greet a silent master.
    ready_s = [float(s) for s in re.findall(r"ready after (\d+\.\d+) s", events)]
    assert len(ready_s) >= KILLS
    assert max(ready_s[1:]) < SILENCE_S / 2


def reached(out: Path, rounds: int) -> bool:
    return rounds_on_disk(out) >= rounds


def test_the_run_goes_on_from_an_older_checkpoint_when_the_newest_is_damaged(
    small: Path, tmp_path: Path, start: Start
) -> None:
    port = free_port()
    out = tmp_path / "run"
    with LocalCluster() as cluster:
        workers = [
            WorkerSettings(connect=f"tcp://127.0.0.1:{port}", name=f"w{i}") for i in range(3)
        ]
        cluster.start(workers)
        process = start(command(small, out, port))
        wait_for(lambda: reached(out, 30) and len(checkpoints(out)) > 1, "rounds and checkpoints")
        kill(process)
        *_, older, newest = checkpoints(out)
        newest.write_bytes(newest.read_bytes()[:100])
        rounds = rounds_on_disk(out) + 20
        assert ends_well(start(command(small, out, port, rounds)))
    events = (out / "events.log").read_text()
    assert f"checkpoint {newest.name} is damaged" in events
    assert f"resuming after round {int(older.stem.partition('-')[2])}" in events
    assert rounds_on_disk(out) == rounds


def test_other_settings_are_refused(small: Path, tmp_path: Path, start: Start) -> None:
    port = free_port()
    out = tmp_path / "run"
    process = start(command(small, out, port))
    wait_for((out / "config.yaml").exists, "its settings")
    kill(process)
    before = psutil.Process().children()
    other = subprocess.run(
        [sys.executable, "-m", "erasurehead_cli", *command(small, out, port), "--seed", "5"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert other.returncode == 2
    assert re.search(r"begun with seed=0, not 5", other.stderr)
    assert other.stderr.count("\n") == 1
    assert psutil.Process().children() == before


def test_other_data_of_the_same_shape_are_refused(small: Path, tmp_path: Path) -> None:
    options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "4"}
    other = prepare("synthetic", source=None, out=tmp_path / "other", options=options).path
    out = tmp_path / "run"

    def train(data: Path, rounds: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "erasurehead_cli", "train", str(data)),
                *("--workers", "3", "--rounds", str(rounds), "--out", str(out)),
                *("--resume", "--quiet", "--no-figures"),
            ],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    first = train(small, 3)
    assert first.returncode == 0, first.stderr
    config = (out / "config.yaml").read_bytes()
    refused = train(other, 6)
    assert refused.returncode == 2
    assert "was begun with other data" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert (out / "config.yaml").read_bytes() == config
    assert train(small, 6).returncode == 0
    assert rounds_on_disk(out) == 6


def test_killed_between_its_last_checkpoint_and_its_end_it_does_no_round_more(
    small: Path, tmp_path: Path, start: Start
) -> None:
    """1. A run is done. 2. Of its end nothing is left but the checkpoint and the records."""
    out = tmp_path / "run"
    command = [
        *("train", str(small), "--workers", "2"),
        *("--rounds", "20", "--step", "0.5", "--scheme", "uncoded", "--out", str(out)),
        *("--delay", "exponential:mean_s=0.01", "--quiet", "--no-figures"),
    ]
    assert ends_well(start(command))
    before, first = theta(out), json.loads((out / "summary.json").read_bytes())
    (out / "summary.json").unlink()
    (out / "model.npz").unlink()
    assert ends_well(start([*command, "--resume"]))
    second = json.loads((out / "summary.json").read_bytes())
    assert rounds_on_disk(out) == second["rounds"] == 20
    assert theta(out).tobytes() == before.tobytes()
    assert second["reason"] == "all 20 rounds done"
    assert second["metrics"] == first["metrics"]
    # What the run took is not forgotten.
    assert second["rounds_s"] == pytest.approx(first["rounds_s"])
    assert second["evaluation_s"] <= first["evaluation_s"]
    records = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert second["wall_s"] >= records[-1]["closed_s"]
    assert second["rounds_s"] == pytest.approx(sum(r["closed_s"] - r["opened_s"] for r in records))


def test_a_run_that_keeps_its_best_model_ends_as_if_it_had_not_been_killed(
    small: Path, tmp_path: Path, start: Start
) -> None:
    """1. A calm run, done when its test loss rises again. 2. The same, killed three times. 3. Of
    its end nothing is left but checkpoints and records, and it is run again. 4. With more patience
    it goes on, and without news it is done already."""
    until = "metric:log_loss,patience=42"

    def command(out: str, until: str) -> list[str]:
        return [
            *("train", str(small), "--workers", "2"),
            *("--rounds", "400", "--step", "0.5", "--scheme", "egc:c=2", "--until", until),
            *("--optimizer", "nesterov", "--evaluate-every-rounds", "7", "--resume"),
            *("--checkpoint-every-rounds", "5", "--delay", "exponential:mean_s=0.01"),
            *("--quiet", "--no-figures", "--out", str(tmp_path / out)),
        ]

    def run(out: str, until: str) -> dict[str, Any]:
        assert ends_well(start(command(out, until)))
        found: dict[str, Any] = json.loads((tmp_path / out / "summary.json").read_bytes())
        assert found["rounds"] == rounds_on_disk(tmp_path / out)
        return found

    def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
        keys = ("rounds", "reason", "met", "metrics")
        return [one[key] for key in keys] == [other[key] for key in keys]

    calm = run("calm", until)
    assert calm["met"] == until
    assert 60 < calm["rounds"] < 300
    killed = tmp_path / "killed"
    for quarter in range(1, 4):
        process = start(command("killed", until))
        wait_for(partial(reached, killed, calm["rounds"] * quarter // 4), "its rounds")
        kill(process)
    assert same(run("killed", until), calm)
    assert theta(killed).tobytes() == theta(tmp_path / "calm").tobytes()
    (killed / "summary.json").unlink()
    (killed / "model.npz").unlink()
    assert same(run("killed", until), calm)
    assert theta(killed).tobytes() == theta(tmp_path / "calm").tobytes()
    assert same(run("killed", until), calm)
    patient = run("killed", "metric:log_loss,patience=70")
    assert patient["rounds"] == calm["rounds"] + 28
    assert patient["metrics"] == calm["metrics"]
    assert theta(killed).tobytes() == theta(tmp_path / "calm").tobytes()


@pytest.mark.parametrize(
    "scheme", ["cached", "cached:parts=tasks", "egc:c=3", "frc:c=3,parts=tasks"]
)
def test_a_killed_run_of_the_method_that_suits_it_converges(
    scheme: str, small: Path, tmp_path: Path, start: Start
) -> None:
    """1. A run whose optimizer is left open is killed twice. 2. It goes on to the minimum, which it
    finds to be near. 3. With exact rounds, whose sums do not depend on who comes first, its model
    is that of a calm run to the last bit."""

    def command(out: str) -> list[str]:
        return [
            # How many rounds of two arrivals it takes depends on who comes: 100 to 500.
            *("train", str(small), "--workers", "3", "--rounds", "3000"),
            *("--scheme", scheme, "--until", "gap:1e-9", "--l2", "1e-3", "--resume"),
            *("--checkpoint-every-rounds", "3", "--delay", "exponential:mean_s=0.02"),
            *("--quiet", "--no-figures", "--out", str(tmp_path / out)),
        ]

    killed = tmp_path / "killed"
    for at in (4, 12):
        process = start(command("killed"))
        wait_for(partial(reached, killed, at), f"{at} rounds")
        kill(process)
    assert ends_well(start(command("killed")))
    summary = json.loads((killed / "summary.json").read_bytes())
    assert summary["met"] == "gap:1e-9"
    assert summary["verdict"].startswith("converged: ")
    assert rounds_on_disk(killed) == summary["rounds"]
    if not scheme.startswith("cached"):
        assert ends_well(start(command("calm")))
        assert theta(killed).tobytes() == theta(tmp_path / "calm").tobytes()
