"""A master in the test's own thread, its workers as processes, and harm done between rounds."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import numpy as np

from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.shell.main import plan_serving, serve
from tests.support.scraped_metrics import free_port, scrape

Deed = Callable[[], None]
K = 4
LIMIT_S = 60.0
FOREVER = 10**6
"""Rounds, of a run that somebody ends."""


class Watch(Observer):
    """Keeps what happened; does a deed when its condition on the records so far first holds.

    `metrics` is what a scrape says of the run that has just ended.
    """

    def __init__(self, *deeds: tuple[Callable[[list[RoundRecord]], bool], Deed]) -> None:
        self.records: list[RoundRecord] = []
        self.notices: list[str] = []
        self.theta: np.ndarray = np.zeros(0)
        self.metrics: dict[str, float] = {}
        self.http_port = free_port()
        self.undone = list(deeds)

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        if self.undone and self.undone[0][0](self.records):
            self.undone.pop(0)[1]()

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()

    def finished(self, summary: RunSummary) -> None:
        self.metrics = self.scrape()

    def scrape(self) -> dict[str, float]:
        """Return what the metrics say now."""
        return scrape(self.http_port)

    def said(self, words: str) -> int:
        return sum(words in text for text in self.notices)

    def until_said(self, words: str) -> None:
        """Wait, on another thread than the master's."""
        until = time.monotonic() + LIMIT_S
        while not self.said(words) and time.monotonic() < until:
            time.sleep(0.02)


def after(round_: int) -> Callable[[list[RoundRecord]], bool]:
    """True from the end of this round on."""
    return lambda records: records[-1].round >= round_


def slots_of(record: RoundRecord) -> set[int]:
    return {a.slot for a in record.arrivals}


def arrives(slot: int) -> Callable[[list[RoundRecord]], bool]:
    """True when a slot's result was in the last round."""
    return lambda records: slot in slots_of(records[-1])


def missing(slot: int) -> Callable[[list[RoundRecord]], bool]:
    """True when the last round was not even sent to a slot."""
    return lambda records: slot not in slots_of(records[-1]) | set(records[-1].stragglers)


def straggled(metrics: dict[str, float], slot: int) -> float:
    return metrics[f'erasurehead_worker_rounds_total{{outcome="straggled",worker="{slot}"}}']


def end() -> None:
    """Ask this process's master to end after the round; its exit code is 0 then."""
    signal.raise_signal(signal.SIGTERM)


class Scene:
    """A port, a nursery, and a master in this thread."""

    def __init__(self, store: str, cluster: LocalCluster) -> None:
        self.store = store
        self.cluster = cluster
        self.port = free_port()

    def start(self, name: str, slot: int | None = None, port: int | None = None) -> None:
        address = f"tcp://127.0.0.1:{port or self.port}"
        self.cluster.start([WorkerSettings(connect=address, name=name, slot=slot)])

    def start_all(self, port: int | None = None) -> None:
        for i in range(K):
            self.start(f"w{i}", i, port)

    def send(self, name: str, number: int) -> None:
        """Send a signal to a worker that is there."""
        self.cluster.poll()
        assert name in self.cluster.pids
        self.cluster.signal(name, number)

    def kill_all(self) -> None:
        for i in range(K):
            self.send(f"w{i}", signal.SIGKILL)

    def ends(self) -> dict[str, int]:
        """Wait for the end of all workers; return their exit codes."""
        self.cluster.poll()
        assert self.cluster.wait(LIMIT_S), "a worker has not ended"
        return self.cluster.exit_codes

    def settings(self, http_port: int, **changes: object) -> MasterSettings:
        given = {
            "store": self.store,
            "bind": f"tcp://127.0.0.1:{self.port}",
            "workers": K,
            "scheme": "agc:c=2,r=3",
            "step": "0.5",
            "rounds": 200,
            "until": "none",
            "delay": "exponential:mean_s=0.01",
            "membership": {"silence_limit_s": 4.0, "heartbeat_interval_s": 0.5},
            "http": {"bind": f"127.0.0.1:{http_port}"},
        }
        return load(MasterSettings, {**given, **changes}, environment={})

    def serve(self, watch: Watch, *more: Observer, **changes: object) -> RunSummary:
        # The metrics' own observer comes first, then the watch, which asks them.
        settings = self.settings(watch.http_port, **changes)
        return serve(settings, plan_serving(settings), [watch, *more])
