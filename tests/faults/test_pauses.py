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

from erasurehead.runs import Run, recorded_rounds
from erasurehead_cli.main import main
from tests.support.when_asked import Asking

SILENCE_S = 5.0
PAUSE_S = 7.0
WORKERS = 4
LIMIT_S = 120.0


def options(store: Path, out: Path) -> list[str]:
    return [
        *(str(store), "--scheme", "uncoded", "--workers", str(WORKERS), "--step", "0.5"),
        *("--delay", "exponential:mean_s=0.01", "--no-figures", "--quiet", "--out", str(out)),
    ]


def signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def until_rounds(out: Path, n: int) -> None:
    """Wait until so many rounds are recorded."""
    until = time.monotonic() + LIMIT_S
    while recorded_rounds(out) < n:
        assert time.monotonic() < until, f"there are not {n} rounds"
        time.sleep(0.01)


def test_a_pause_longer_than_the_silence_limit_costs_nothing(small: Path, tmp_path: Path) -> None:
    """On waking everybody's silence begins, and an exact run takes no inexact step."""
    out = tmp_path / "run"
    limits = ["--membership-silence-limit-s", str(SILENCE_S)]
    limits += ["--membership-heartbeat-interval-s", "0.5"]
    asking = Asking(tmp_path)
    command = [sys.executable, "-m", "erasurehead_cli", "train", *options(small, out), *limits]
    train = subprocess.Popen([*command, *asking.options])
    machine: list[psutil.Process] = []
    try:
        until_rounds(out, 5)
        master = psutil.Process(train.pid)
        machine = [master, *master.children(recursive=True)]
        assert len(machine) > WORKERS
        # The master is the last to fall asleep and the first to wake: it looks for the others.
        signal_all(machine[::-1], signal.SIGSTOP)
        time.sleep(PAUSE_S)
        signal_all(machine, signal.SIGCONT)
        until_rounds(out, recorded_rounds(out) + 20)
        asking.enough()
        assert train.wait(LIMIT_S) == 0
    finally:
        signal_all(machine, signal.SIGCONT)
        train.kill()
        train.wait()
    run = Run.open(out)
    rounds = len(run.records)
    assert [r.round for r in run.records] == list(range(1, rounds + 1))
    assert max(r.duration_s for r in run.records) > SILENCE_S, "it slept through a round"
    assert all(len(r.arrivals) == WORKERS and not r.erased_tasks for r in run.records)
    events = (out / "events.log").read_text()
    assert events.count("this process did not run for") == 1
    assert "was silent" not in events
    assert events.count("registered in slot") == WORKERS
    calm = tmp_path / "calm"
    as_long = ["--until", "none", "--rounds", str(rounds)]
    assert main(["simulate", *options(small, calm), *as_long, "--pass-s", "1"]) == 0
    np.testing.assert_allclose(run.theta, Run.open(calm).theta, rtol=1e-10)
