"""Processes that share the work of a search, and what becomes of them."""

from __future__ import annotations

import contextlib
import operator
import signal
import subprocess
import sys
import time

import psutil
import pytest

from erasurehead.errors import UsageError
from erasurehead_simulator.planner.parallel import crew

LIMIT_S = 60.0
NO_SIGNAL: list[int] = []
"""To wait for: a function of two arguments that takes long."""

WAITING = """
import operator
from erasurehead_simulator.planner.parallel import crew

if __name__ == "__main__":
    with crew(2, 2) as doubling:
        print(*doubling.map(operator.mul, range(8)), flush=True)
        input()
"""


def processes() -> list[psutil.Process]:
    """Return those of a crew, without multiprocessing's own helper."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it is just ending
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def eventually(n_processes: int) -> list[psutil.Process]:
    until = time.monotonic() + LIMIT_S
    while len(found := processes()) != n_processes and time.monotonic() < until:
        time.sleep(0.05)
    assert len(found) == n_processes
    return found


@pytest.mark.parametrize("n_processes", [1, 2])
def test_results_come_in_the_order_of_the_items(n_processes: int) -> None:
    with crew(3, n_processes) as trebling:
        assert list(trebling.map(operator.mul, range(50))) == [3 * i for i in range(50)]
        eventually(n_processes if n_processes > 1 else 0)
        assert list(trebling.map(operator.add, [4])) == [7]
    assert not processes()


@pytest.mark.parametrize("n_processes", [1, 2])
def test_an_error_is_raised_where_the_result_would_be(n_processes: int) -> None:
    with crew(6, n_processes) as dividing:
        results = dividing.map(operator.floordiv, [1, 2, 0, 3])
        with pytest.raises(ZeroDivisionError):
            list(results)
    assert not processes()


def test_a_killed_process_is_one_sentence() -> None:
    with crew(NO_SIGNAL, 2) as waiting:
        results = waiting.map(signal.sigtimedwait, [0.0, 600.0, 600.0], at_once=1)
        assert next(results) is None
        eventually(2)[0].kill()
        with pytest.raises(UsageError, match="was killed, perhaps for want of memory"):
            list(results)
        # Nor is there a crew any more.
        with pytest.raises(UsageError, match="was killed, perhaps for want of memory"):
            list(waiting.map(signal.sigtimedwait, [0.0]))
    assert not processes()


def test_nobody_waits_for_work_that_is_not_wanted_any_more() -> None:
    def interrupted() -> None:
        with crew(NO_SIGNAL, 2) as waiting:
            results = waiting.map(signal.sigtimedwait, [0.0, *[600.0] * 9], at_once=1)
            assert next(results) is None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not processes()


def test_processes_end_with_their_parent() -> None:
    """Also if it is killed, and cannot tell them."""
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().split() == [b"%d" % (2 * i) for i in range(8)]
        found = eventually(2)
        parent.kill()
        gone, _ = psutil.wait_procs(found, LIMIT_S)
        assert len(gone) == 2
