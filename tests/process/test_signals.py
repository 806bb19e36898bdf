"""Signals as something to wait for, sent to real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from erasurehead.process.signals import SignalWatch

RESTLESS = """
import signal
import time
from erasurehead.process.signals import SignalWatch

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
heard = turns = 0
limit = time.monotonic() + 60
# On a busy machine it may take long until a signal comes while a watch is there.
while turns < 4000 or (not heard and time.monotonic() < limit):
    turns += 1
    with SignalWatch(signal.SIGTERM) as signals:
        heard += signals.take() is not None
print(heard, signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
"""


def test_signals_may_come_while_the_watch_begins_and_ends() -> None:
    """Python prints a traceback for a signal that falls between two handlers; ours must not."""
    child = subprocess.Popen(
        [sys.executable, "-c", RESTLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    while child.poll() is None:
        os.kill(child.pid, signal.SIGTERM)
    said, complaints = child.communicate(timeout=60)
    assert complaints == ""
    assert child.returncode == 0
    heard, restored = said.split()
    assert int(heard) > 0
    assert restored == "True"


def test_signals_of_others_are_no_news_for_long() -> None:
    """A program that has handlers of its own: its signal wakes the loop once, not for ever."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with SignalWatch(signal.SIGTERM) as signals:
            signal.raise_signal(signal.SIGUSR1)
            assert select.select([signals], [], [], 30)[0] == [signals]
            assert signals.take() is None
            assert select.select([signals], [], [], 0)[0] == []
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_hang_up_is_heard_unless_it_is_ignored() -> None:
    """As under nohup, where it must not end what was started to outlive the terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
    try:
        with SignalWatch() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.take() == signal.SIGHUP
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with SignalWatch() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.take() is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
