"""Real processes, real sockets on random ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_INTERRUPTED, EXIT_NO_WORKERS, EXIT_OK, BindError, UsageError
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, RunSettings
from erasurehead_local.train import train
from erasurehead_master.shell.main import plan_serving, serve

FOREVER = 10**6
"""Rounds, of a run that somebody ends."""


class Watch(Observer):
    """Keeps everything, and can do something when a round is over.

    Parameters
    ----------
    at_round: in which it does it.
    then: what.
    enough: words of a notice; the run ends twenty rounds after it.
    """

    def __init__(
        self, at_round: int = 0, then: Callable[[], None] | None = None, enough: str = ""
    ) -> None:
        self.records: list[RoundRecord] = []
        self.theta: np.ndarray = np.zeros(0)
        self.notices: list[str] = []
        self._at, self._then = at_round, then
        self._enough, self._last = enough, FOREVER

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        if record.round == self._at and self._then is not None:
            self._then()

    def moved(self, round_: int, model: Callable[[], Any]) -> str | None:
        return "seen enough" if round_ >= self._last else None

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)
        if self._enough and self._enough in text:
            self._last = len(self.records) + 20

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()

    def finished(self, summary: RunSummary) -> None:
        self.summary = summary


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "600", "columns": "200", "nnz": "6", "labels": "two-classes", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


def settings(store: Path, **changes: object) -> RunSettings:
    given = {"store": str(store), "workers": 4, "rounds": 15, "step": "0.5"}
    return load(RunSettings, {**given, "l2": 0.0, **changes}, environment={})


def children() -> set[int]:
    return {p.pid for p in psutil.Process().children(recursive=True)}


def reference(store: Path, rounds: int, step: float) -> tuple[np.ndarray, list[float]]:
    """Gradient descent in one process with dense numpy; also the loss before each step."""
    train_rows = Store.open(store).train
    x = np.zeros((len(train_rows.labels), train_rows.n_columns))
    values = np.ones(len(train_rows.indices)) if train_rows.values is None else train_rows.values
    row = np.repeat(np.arange(len(x)), np.diff(train_rows.indptr))
    np.add.at(x, (row, np.asarray(train_rows.indices)), values)
    y = np.asarray(train_rows.labels)
    theta = np.zeros(x.shape[1])
    losses = []
    for _ in range(rounds):
        z = y * (x @ theta)
        losses.append(float(np.mean(np.logaddexp(0.0, -z))))
        theta = theta + step * x.T @ (y / (1 + np.exp(z))) / len(y)
    return theta, losses


@pytest.mark.parametrize("scheme", ["uncoded", "egc:c=2", "agc:c=2,r=4"])
def test_exact_schemes_equal_one_process_round_by_round(store: Path, scheme: str) -> None:
    watch = Watch()
    summary = train(settings(store, scheme=scheme), [watch])
    theta, losses = reference(store, 15, 0.5)
    assert summary.exit_code == EXIT_OK
    assert summary.rounds == 15
    np.testing.assert_allclose(watch.theta, theta, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose([r.train_loss for r in watch.records], losses, rtol=1e-10)
    assert set(watch.records[9].metrics) >= {"auc", "accuracy", "log_loss"}
    assert set(watch.records[-1].metrics) >= {"auc", "accuracy", "log_loss"}
    assert not watch.records[0].metrics
    assert not children()


@pytest.mark.parametrize(("format", "error"), [("f4", 1e-6), ("f2", 1e-2)])
def test_shorter_formats_cost_digits_and_no_more(store: Path, format: str, error: float) -> None:
    watch = Watch()
    summary = train(settings(store, scheme="egc:c=2", wire={"format": format}), [watch])
    theta, _ = reference(store, 15, 0.5)
    assert summary.exit_code == EXIT_OK
    off = np.abs(watch.theta - theta).max() / np.abs(theta).max()
    assert 0 < off < error


def test_exact_runs_repeat_to_the_last_bit(store: Path) -> None:
    """Arrival order differs from run to run; the sum of an exact scheme does not."""
    thetas = []
    for _ in range(2):
        watch = Watch()
        train(settings(store, scheme="egc:c=2", delay="exponential:mean_s=0.01"), [watch])
        thetas.append(watch.theta)
    first, second = thetas
    assert np.array_equal(first, second)


def test_a_straggler_costs_the_round_nothing(store: Path) -> None:
    """One slot sleeps for an hour every round; thirty rounds are over long before that."""
    watch = Watch()
    summary = train(
        settings(store, scheme="agc:c=2,r=3", rounds=30, delay="persistent:count=1,slow_s=3600"),
        [watch],
    )
    assert summary.exit_code == EXIT_OK
    assert summary.wall_s < 3600
    assert all(len(r.stragglers) >= 1 for r in watch.records)


def test_a_killed_worker_is_an_erasure_and_the_run_goes_on(store: Path) -> None:
    def kill_one() -> None:
        (nursery,) = psutil.Process().children()
        nursery.children()[0].kill()

    watch = Watch(5, kill_one, enough="ended with code -9")
    endless = settings(store, scheme="agc:c=2,r=3", rounds=FOREVER, until="none")
    summary = train(endless, [watch])
    assert summary.exit_code == EXIT_OK
    assert summary.reason == "seen enough"
    assert sum("ended with code -9" in text for text in watch.notices) == 1
    assert not children()


def test_a_run_whose_nursery_is_killed_ends(store: Path) -> None:
    watch = Watch(5, lambda: psutil.Process().children()[0].kill())
    summary = train(
        settings(store, rounds=FOREVER, until="none", membership={"empty_limit_s": 1e6}), [watch]
    )
    assert summary.exit_code == EXIT_NO_WORKERS
    assert sum("ended with code -9" in text for text in watch.notices) == 4
    assert not children()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_whose_workers_have_all_ended_ends_too(store: Path, number: int) -> None:
    """Nobody can come back, so it is not waited for anybody, whatever the limit is."""

    def end_all() -> None:
        (nursery,) = psutil.Process().children()
        for child in nursery.children():
            child.send_signal(number)

    watch = Watch(5, end_all)
    limits = {"empty_limit_s": 1e6, "max_wait_s": 1e6}
    summary = train(settings(store, rounds=FOREVER, until="none", membership=limits), [watch])
    assert summary.exit_code == EXIT_NO_WORKERS
    assert summary.reason.startswith("all workers of this run have ended, so it ends in round ")
    assert watch.theta.any()
    assert not children()


def test_ctrl_c_keeps_what_there_is_and_leaves_no_process(store: Path) -> None:
    watch = Watch(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    given = {"scheme": "uncoded", "delay": "exponential:mean_s=0.01"}
    summary = train(settings(store, rounds=FOREVER, until="none", **given), [watch])
    assert summary.exit_code == EXIT_INTERRUPTED
    assert 5 <= summary.rounds < FOREVER
    assert watch.theta.any()
    assert not children()


def test_no_thread_or_descriptor_is_left(store: Path) -> None:
    train(settings(store, scheme="uncoded", rounds=2), [])
    threads, files = set(threading.enumerate()), descriptors()
    train(settings(store, scheme="uncoded", rounds=2), [])
    # Others, of tests before this one, may end meanwhile.
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= files


def descriptors() -> set[tuple[int, int, int]]:
    """Return what this process has open: descriptors, and the files behind them."""
    found = set()
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        with contextlib.suppress(OSError):  # that of the listing itself
            about = os.fstat(number)
            found.add((number, about.st_dev, about.st_ino))
    return found


def test_impossible_settings_start_nothing(store: Path) -> None:
    impossible: list[tuple[dict[str, object], str]] = [
        ({"scheme": "agc:c=3,r=0"}, "r=0"),
        ({"scheme": "agc:c=3,r=9"}, "r=9"),
        ({"scheme": "egc:c=9"}, "c=9"),
        ({"workers": 601, "scheme": "uncoded"}, "601"),
        ({"delay": "exponental:mean_s=1"}, "exponential"),
        ({"model": "logistics"}, "logistic"),
        ({"optimizer": "adam"}, "adam"),
        ({"step": "-1"}, "-1"),
    ]
    for changes, words in impossible:
        with pytest.raises(UsageError, match=words) as refused:
            train(settings(store, **changes), [])
        assert "\n" not in str(refused.value)
    assert not children()


def test_a_port_in_use_is_one_sentence(store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        given = {"store": str(store), "bind": f"tcp://127.0.0.1:{port}", "scheme": "uncoded"}
        settings = load(MasterSettings, given, environment={})
        with pytest.raises(BindError, match=f"cannot listen on tcp://127.0.0.1:{port}"):
            serve(settings, plan_serving(settings), [])


def test_workers_end_when_the_master_is_killed(store: Path, tmp_path: Path) -> None:
    """1. A training process is started. 2. It is killed. 3. Nursery and workers are gone soon."""
    script = (
        "from erasurehead.settings.sources import load\n"
        "from erasurehead.settings.tree import RunSettings\n"
        "from erasurehead_local.train import train\n"
        f"given = {{'store': {str(store)!r}, 'workers': 3, 'rounds': 10**6,"
        " 'until': 'none', 'scheme': 'uncoded', 'delay': 'exponential:mean_s=0.05'}\n"
        "train(load(RunSettings, given, environment={}), [])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    family: list[psutil.Process] = []
    until = time.monotonic() + 60
    while len(family) < 4 and time.monotonic() < until:
        family = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.05)
    assert len(family) == 4
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
