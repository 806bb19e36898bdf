"""Faults on real processes: each asserts what must happen, what was logged and what was counted.

A master serves in this process; a chain of (round, deed) pairs does the harm from its own thread
when a round is over, so no test waits for a time to pass.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_NO_WORKERS, EXIT_OK
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.runs import RunWriter
from erasurehead.settings import MasterSettings, WorkerSettings, load
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.serving import serve

Deed = Callable[[], None]
K = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


class Watch(Observer):
    """Keeps what happened; does a deed when its condition on the records so far first holds."""

    def __init__(self, *deeds: tuple[Callable[[list[RoundRecord]], bool], Deed]) -> None:
        self.records: list[RoundRecord] = []
        self.notices: list[str] = []
        self.theta: np.ndarray = np.zeros(0)
        self._deeds = list(deeds)

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        if self._deeds and self._deeds[0][0](self.records):
            self._deeds.pop(0)[1]()

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()

    def said(self, words: str) -> int:
        return sum(words in text for text in self.notices)


def after(round_: int) -> Callable[[list[RoundRecord]], bool]:
    """True from the end of this round on."""
    return lambda records: records[-1].round >= round_


def slots_of(record: RoundRecord) -> set[int]:
    return {a.slot for a in record.arrivals}


class Scene:
    """A port, a nursery, and a master in this thread."""

    def __init__(self, store: Path, cluster: LocalCluster) -> None:
        self.store = store
        self.cluster = cluster
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def start(self, name: str, slot: int | None = None, port: int | None = None) -> None:
        address = f"tcp://127.0.0.1:{port or self.port}"
        self.cluster.start([WorkerSettings(connect=address, name=name, slot=slot)])

    def start_all(self, port: int | None = None) -> None:
        for i in range(K):
            self.start(f"w{i}", i, port)

    def send(self, name: str, number: int) -> None:
        """Send a signal to a worker and wait until the nursery has done it."""
        self.cluster.poll()
        assert name in self.cluster.pids
        self.cluster.signal(name, number)

    def serve(self, watch: Watch, *more: Observer, **changes: object) -> RunSummary:
        given = {
            "store": str(self.store),
            "bind": f"tcp://127.0.0.1:{self.port}",
            "workers": K,
            "scheme": "agc:c=2,r=3",
            "step": "0.5",
            "rounds": 200,
            "delay": "exponential:mean_s=0.01",
            "membership": {"silence_limit_s": 1.0, "heartbeat_interval_s": 0.2},
        }
        settings = load(MasterSettings, {**given, **changes}, environment={})
        return serve(settings, [watch, *more])


@pytest.fixture
def scene(store: Path) -> Iterator[Scene]:
    with LocalCluster() as cluster:
        yield Scene(store, cluster)


def test_a_killed_worker_is_an_erasure_until_its_successor_comes(scene: Scene) -> None:
    """SIGKILL, then a process of the same name: it gets the slot back."""
    scene.start_all()

    def gone(records: list[RoundRecord]) -> bool:
        return records[-1].round > 20 and 1 not in slots_of(records[-1]) | set(
            records[-1].stragglers
        )

    watch = Watch(
        (after(20), lambda: scene.send("w1", signal.SIGKILL)),
        (gone, lambda: scene.start("w1", 1)),
        (lambda r: 1 in slots_of(r[-1]), lambda: None),
    )
    summary = scene.serve(watch, rounds=1500)
    assert summary.exit_code == EXIT_OK
    assert not watch._deeds, "the successor never took part"
    assert watch.said("worker w1 was silent for") == 1


@pytest.mark.parametrize("name", ["w1", "somebody-else"])
def test_a_restart_under_the_same_or_another_name_fills_the_slot(scene: Scene, name: str) -> None:
    """SIGTERM frees the slot at once (GOODBYE); whoever comes next gets it."""
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w1", signal.SIGTERM)),
        (
            lambda r: 1 not in slots_of(r[-1]) | set(r[-1].stragglers),
            lambda: scene.start(name),
        ),
        (lambda r: 1 in slots_of(r[-1]), lambda: None),
    )
    summary = scene.serve(watch, rounds=1000)
    assert summary.exit_code == EXIT_OK
    assert not watch._deeds
    assert watch.said("worker w1 leaves") == 1
    assert watch.said("was silent") == 0
    scene.cluster.poll()
    assert scene.cluster.exit_codes.get("w1", 0) == 0


def test_a_freeze_shorter_than_the_limit_goes_unnoticed(scene: Scene) -> None:
    """SIGSTOP and, some rounds later, SIGCONT: stragglings, nothing else."""
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w2", signal.SIGSTOP)),
        (after(40), lambda: scene.send("w2", signal.SIGCONT)),
        (lambda r: 2 in slots_of(r[-1]), lambda: None),
    )
    summary = scene.serve(
        watch,
        rounds=400,
        membership={"silence_limit_s": 60.0, "heartbeat_interval_s": 0.2},
    )
    assert summary.exit_code == EXIT_OK
    assert not watch._deeds
    assert watch.said("was silent") == 0
    frozen = [r for r in watch.records if 25 <= r.round <= 38]
    assert all(2 in r.stragglers for r in frozen)


def test_a_freeze_longer_than_the_limit_costs_the_slot_until_the_return(scene: Scene) -> None:
    """1. SIGSTOP. 2. Silent beyond the limit: the slot is free. 3. SIGCONT: HELLO, and back."""
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w2", signal.SIGSTOP)),
        (
            lambda r: 2 not in slots_of(r[-1]) | set(r[-1].stragglers),
            lambda: scene.send("w2", signal.SIGCONT),
        ),
        (lambda r: 2 in slots_of(r[-1]), lambda: None),
    )
    summary = scene.serve(watch, rounds=1500)
    assert summary.exit_code == EXIT_OK
    assert not watch._deeds
    assert watch.said("worker w2 was silent for") == 1
    # What it had computed while it slept comes before its HELLO, or after it.
    assert {"unknown-peer", "wrong-slot"} & summary.refused.keys()


def test_a_second_claimant_of_a_slot_wins(scene: Scene) -> None:
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.start("rival", 3)),
        (lambda _: watch.said("took the place of worker w3") == 1, lambda: None),
    )
    summary = scene.serve(watch, rounds=600)
    assert summary.exit_code == EXIT_OK
    assert not watch._deeds
    scene.cluster.poll()
    assert scene.cluster.wait(30)
    assert scene.cluster.exit_codes == dict.fromkeys(("w0", "w1", "w2", "w3", "rival"), 0)


def test_a_late_worker_joins(scene: Scene) -> None:
    """The run starts with three of four; the fourth comes in its middle."""
    for i in range(3):
        scene.start(f"w{i}", i)
    watch = Watch(
        (after(20), lambda: scene.start("late")),
        (lambda r: 3 in slots_of(r[-1]), lambda: None),
    )
    summary = scene.serve(watch, rounds=600, membership={"min_workers": 3, "max_wait_s": 2.0})
    assert summary.exit_code == EXIT_OK
    assert not watch._deeds
    assert watch.said("starting with 3 of 4 workers") == 1


def test_when_all_are_gone_the_run_waits_and_ends_by_its_limit(scene: Scene) -> None:
    scene.start_all()

    def kill_all() -> None:
        for i in range(K):
            scene.send(f"w{i}", signal.SIGKILL)

    watch = Watch((after(20), kill_all))
    summary = scene.serve(
        watch,
        rounds=10**6,
        membership={
            "silence_limit_s": 1.0,
            "heartbeat_interval_s": 0.2,
            "empty_limit_s": 1.0,
        },
    )
    assert summary.exit_code == EXIT_NO_WORKERS
    assert watch.said("no worker is left") == 1
    assert summary.rounds >= 20


def test_all_gone_and_back_again(scene: Scene) -> None:
    """The run says so once, waits, and goes on with the first that returns."""
    scene.start_all()

    def kill_all() -> None:
        for i in range(K):
            scene.send(f"w{i}", signal.SIGKILL)

        def come_back() -> None:
            until = time.monotonic() + 60
            while not watch.said("no worker is left") and time.monotonic() < until:
                time.sleep(0.02)
            scene.start_all()

        threading.Thread(target=come_back).start()

    watch = Watch((after(20), kill_all))
    summary = scene.serve(watch, rounds=300)
    assert summary.exit_code == EXIT_OK
    assert summary.rounds == 300
    assert watch.said("no worker is left") == 1


class Relay:
    """Passes bytes between workers and the master until it is cut, and again once it is healed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[socket.socket] = []
        self._healthy = threading.Event()
        self._healthy.set()
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._healthy.clear()
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for end in pairs:
            end.close()

    def heal(self) -> None:
        self._healthy.set()

    def close(self) -> None:
        self._ended = True
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._healthy.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(1 << 16):
                sink.sendall(chunk)
        except OSError:
            pass
        finally:
            source.close()
            sink.close()


def test_a_network_cut_and_healed(scene: Scene) -> None:
    """All workers behind a relay; it is cut in mid-round and healed after the silence limit."""
    relay = Relay(scene.port)
    scene.start_all(relay.port)

    def cut() -> None:
        relay.cut()

        def heal() -> None:
            until = time.monotonic() + 60
            while not watch.said("no worker is left") and time.monotonic() < until:
                time.sleep(0.02)
            relay.heal()

        threading.Thread(target=heal).start()

    watch = Watch((after(30), cut))
    try:
        summary = scene.serve(watch, rounds=300)
    finally:
        relay.close()
    assert summary.exit_code == EXIT_OK
    assert summary.rounds == 300
    assert watch.said("was silent for") >= K
    scene.cluster.poll()
    assert not any(scene.cluster.exit_codes.values()), "a worker gave up"


def test_a_short_cut_goes_unnoticed(scene: Scene) -> None:
    """Connections are dropped and come back within the limit: nobody loses a slot."""
    relay = Relay(scene.port)
    scene.start_all(relay.port)

    def blip() -> None:
        relay.cut()
        relay.heal()

    watch = Watch(*((after(n), blip) for n in (30, 60, 90)))
    try:
        summary = scene.serve(
            watch,
            rounds=150,
            membership={"silence_limit_s": 30.0, "heartbeat_interval_s": 0.2},
        )
    finally:
        relay.close()
    assert summary.exit_code == EXIT_OK
    assert summary.rounds == 150
    assert watch.said("was silent") == 0


def test_a_full_disk_does_not_stop_the_run(scene: Scene, tmp_path: Path) -> None:
    """The checkpoint directory's device is full: older state stays, the loss is told, rounds go on.

    /dev/full is a device that is always full; the checkpoint's partial file is led to it.
    """
    scene.start_all()
    out = tmp_path / "run"
    lost: list[int] = []

    class Lost(Observer):
        def checkpointed(self, round_: int, kept: bool) -> None:
            if not kept:
                lost.append(round_)

    def fill() -> None:
        for n in range(1, 400):
            path = out / "checkpoint" / f"round-{n:09d}.part"
            if not path.exists():
                path.symlink_to("/dev/full")

    watch = Watch((after(50), fill))
    changes = {"out": out, "checkpoint": {"every_rounds": 10}, "rounds": 200}
    given = {"store": str(scene.store), **changes}
    with RunWriter(out, load(MasterSettings, given, environment={})) as writer:
        summary = scene.serve(watch, writer, Lost(), **changes)
    assert summary.exit_code == EXIT_OK
    assert lost, "no checkpoint failed"
    assert watch.said("cannot write the checkpoint of round") >= 1
    assert list((out / "checkpoint").glob("round-*.ckpt")), "the old checkpoints are gone"
    assert len((out / "rounds.jsonl").read_text().splitlines()) == 200
    assert json.loads((out / "summary.json").read_text())["exit_code"] == 0
