"""Schedules of faults, and what a run does under one."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import UsageError
from erasurehead.runs import Run, recorded_rounds
from erasurehead_cli.main import main
from erasurehead_local.faults import Fault, in_words, read_faults

KILLED = "worker local-0 ended with code -9"
LIMIT_S = 120.0


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_schedule_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    path = written(tmp_path / "f", "# all\n\n20 stop 1 8 # frozen\n1.5 kill 0\n31 cut 2\n")
    faults = read_faults(path, 3)
    assert faults == [Fault(1.5, "kill", 0), Fault(20, "stop", 1, 8), Fault(31, "cut", 2)]
    assert in_words(faults) == "3 faults (kill 1, stop 1, cut 1)"
    assert in_words([]) == "0 faults"


@pytest.mark.parametrize(
    "line",
    ["1 kill", "1 kill 3", "1 kill -1", "x kill 0", "-1 kill 0", "nan cut 0", "1 stop 0",
     "1 stop 0 0", "1 stop 0 inf", "1 kill 0 5", "1 burn 0"],
)  # fmt: skip
def test_what_is_no_fault_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "f", f"1 kill 0\n{line}\n")
    with pytest.raises(UsageError, match=r"line 2 of .* is no fault: .*workers 0 to 2"):
        read_faults(path, 3)


def test_a_file_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the faults in"):
        read_faults(tmp_path / "none", 3)


def test_a_run_outlives_every_kind_of_fault(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A killed worker is back in its slot, a frozen one thaws, one that was cut off returns.

    When all is done and all are back for a while, the run is asked to end.
    """
    options = {"rows": "60", "columns": "8", "nnz": "3", "seed": "1"}
    store = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    schedule = written(tmp_path / "faults", "0.1 kill 0\n0.2 stop 1 0.3\n0.3 cut 2\n")
    out = tmp_path / "run"
    asked = ["chaos", str(store), "--faults", str(schedule), "--workers", "4", "--until", "none"]
    asked += ["--rounds", "1000000", "--scheme", "uncoded:r=3", "--no-figures", "-q"]
    over = threading.Event()

    def healed(since: int) -> bool:
        if recorded_rounds(out) < since + 20:
            return False
        last = Run.open(out, allow_unfinished=True).records[-20:]
        return {a.slot for record in last for a in record.arrivals} == {0, 1, 2, 3}

    def end_when_healed() -> None:
        events, until = out / "events.log", time.monotonic() + LIMIT_S
        while not (events.exists() and KILLED in events.read_text()) or havoc_goes_on():
            if over.wait(0.02) or time.monotonic() > until:
                break
        since = recorded_rounds(out)
        while not over.wait(0.1) and not healed(since) and time.monotonic() < until:
            pass
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    watching = threading.Thread(target=end_when_healed)
    watching.start()
    try:
        assert main([*asked, "--delay", "exponential:mean_s=0.01", "--out", str(out)]) == 0
    finally:
        over.set()
        watching.join()
    assert "injected 3 faults (kill 1, stop 1, cut 1) of the 3" in capfd.readouterr().out
    run = Run.open(out)
    last = run.records[-20:]
    assert {a.slot for record in last for a in record.arrivals} == {0, 1, 2, 3}
    assert (out / "events.log").read_text().count(KILLED) == 1


def havoc_goes_on() -> bool:
    """Return whether there is harm yet to be done."""
    return any(thread.name == "havoc" for thread in threading.enumerate())
