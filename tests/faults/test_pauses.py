"""A machine that stands still with all that runs on it, for real: SIGSTOP, and later SIGCONT."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from erasurehead.runs import Run
from erasurehead_cli.main import main

SILENCE_S = 5.0
PAUSE_S = 7.0
ROUNDS = 300
WORKERS = 4
LIMIT_S = 60.0


def options(store: Path, out: Path) -> list[str]:
    return [
        *(str(store), "--scheme", "uncoded", "--workers", str(WORKERS), "--step", "0.5"),
        *("--rounds", str(ROUNDS), "--until", "none", "--delay", "exponential:mean_s=0.01"),
        *("--no-figures", "--quiet", "--out", str(out)),
    ]


def signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def test_a_pause_longer_than_the_silence_limit_costs_nothing(small: Path, tmp_path: Path) -> None:
    """On waking everybody's silence begins, and an exact run takes no inexact step."""
    out = tmp_path / "run"
    limits = ["--membership-silence-limit-s", str(SILENCE_S)]
    limits += ["--membership-heartbeat-interval-s", "0.5"]
    train = subprocess.Popen(
        [sys.executable, "-m", "erasurehead_cli", "train", *options(small, out), *limits]
    )
    machine: list[psutil.Process] = []
    try:
        records, until = out / "rounds.jsonl", time.monotonic() + LIMIT_S
        while not records.exists() or records.read_bytes().count(b"\n") < 5:
            assert time.monotonic() < until, "the run did not begin"
            time.sleep(0.01)
        master = psutil.Process(train.pid)
        machine = [master, *master.children(recursive=True)]
        assert len(machine) > WORKERS
        # The master is the last to fall asleep and the first to wake: it looks for the others.
        signal_all(machine[::-1], signal.SIGSTOP)
        time.sleep(PAUSE_S)
        signal_all(machine, signal.SIGCONT)
        assert train.wait(LIMIT_S) == 0
    finally:
        signal_all(machine, signal.SIGCONT)
        train.kill()
        train.wait()
    run = Run.open(out)
    assert [r.round for r in run.records] == list(range(1, ROUNDS + 1))
    assert max(r.duration_s for r in run.records) > SILENCE_S, "it slept through a round"
    assert all(len(r.arrivals) == WORKERS and not r.erased_tasks for r in run.records)
    events = (out / "events.log").read_text()
    assert events.count("this process did not run for") == 1
    assert "was silent" not in events
    assert events.count("registered in slot") == WORKERS
    calm = tmp_path / "calm"
    assert main(["simulate", *options(small, calm), "--pass-s", "1"]) == 0
    np.testing.assert_allclose(run.theta, Run.open(calm).theta, rtol=1e-10)
