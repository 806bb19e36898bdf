"""Strangers, revoked workers and hostile bytes against a run that goes on.

A master serves in this thread. Whoever attacks does so from a thread of its own while rounds go by
and asks for the run's end when it is done, so no speed decides a test.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import msgpack
import numpy as np
import pytest
import zmq

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_OK, UsageError
from erasurehead.network.curve import WorkerKeys, make_keys, read_public, read_secret
from erasurehead.network.sockets import connect_dealer
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    TO_WORKER,
    Hello,
    Refuse,
    Result,
    Stop,
)
from erasurehead_cli.main import main
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.shell.main import plan_serving, serve
from tests.support.example_messages import packed
from tests.support.scraped_metrics import free_port, placements, refused, scrape
from tests.support.strangers import answer_to

K = 4
LIMIT_S = 120.0
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FOREVER = 10**7

Said = TypeVar("Said", Stop, Refuse)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


class Watch(Observer):
    """Keeps what happened."""

    def __init__(self) -> None:
        self.last: RoundRecord | None = None
        self.notices: list[str] = []
        self.theta: np.ndarray = np.zeros(0)
        self.begun = threading.Event()
        self.http_port = free_port()
        self.metrics: dict[str, float] = {}

    def round_over(self, record: RoundRecord) -> None:
        self.last = record
        self.begun.set()

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()

    def finished(self, summary: RunSummary) -> None:
        self.metrics = scrape(self.http_port)

    def slots(self) -> set[int]:
        """Slots that the last round was sent to."""
        assert self.last is not None
        return {a.slot for a in self.last.arrivals} | set(self.last.stragglers)


class Scene:
    """Keys, a port, workers with keys, and a master in this thread."""

    def __init__(self, store: Path, directory: Path, cluster: LocalCluster) -> None:
        self.store = store
        self.keys = directory / "keys"
        self.allowed = directory / "allowed"
        self.allowed.mkdir()
        self.cluster = cluster
        make_keys(self.keys, "master")
        make_keys(self.keys, "stranger")
        for i in range(K):
            _, public = make_keys(self.keys, f"w{i}")
            (self.allowed / public.name).write_bytes(public.read_bytes())
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start_workers(self, *slots: int) -> None:
        """Start the worker of each slot, or all of them."""
        self.cluster.start(
            [
                WorkerSettings(
                    connect=self.address,
                    name=f"w{i}",
                    slot=i,
                    keys={
                        "secret": self.keys / f"w{i}.key",
                        "master": self.keys / "master.pub",
                    },
                )
                for i in slots or range(K)
            ]
        )

    def all_end_well(self) -> None:
        """Wait until every worker has ended with code 0, and forget them."""

        def ended() -> bool:
            self.cluster.poll()
            return len(self.cluster.exit_codes) == K

        until(ended, "the end of all workers")
        assert set(self.cluster.exit_codes.values()) == {0}
        self.cluster.exit_codes.clear()

    def serve(self, watch: Watch, **changes: object) -> RunSummary:
        given = {
            "store": str(self.store),
            "bind": self.address,
            "workers": K,
            "scheme": "agc:c=2,r=3",
            "step": "0.5",
            "rounds": FOREVER,
            "until": "none",
            "evaluate_every_rounds": FOREVER,
            "delay": "exponential:mean_s=0.005",
            # No worker is sent a round twice, however slow it is: what is refused is counted.
            "membership": {"silence_limit_s": 60.0, "heartbeat_interval_s": 2.0},
            "limits": {"handshake_s": LIMIT_S},
            "http": {"bind": str(watch.http_port)},
            "keys": {
                "secret": self.keys / "master.key",
                "workers": self.allowed,
                "recheck_s": 0.05,
            },
        }
        settings = load(MasterSettings, {**given, **changes}, environment={})
        return serve(settings, plan_serving(settings), [watch])

    def serve_while(
        self, watch: Watch, attack: Callable[[], None], **changes: object
    ) -> RunSummary:
        """Serve until the attack, in a thread of its own, is over; its failures are the test's."""
        failures: list[BaseException] = []

        def act() -> None:
            try:
                assert watch.begun.wait(LIMIT_S), "the run did not begin"
                attack()
            except BaseException as error:
                failures.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=act)
        thread.start()
        summary = self.serve(watch, **changes)
        thread.join()
        if failures:
            raise failures[0]
        assert summary.exit_code == EXIT_OK
        return summary


@pytest.fixture
def scene(store: Path, tmp_path: Path) -> Iterator[Scene]:
    with LocalCluster() as cluster:
        yield Scene(store, tmp_path, cluster)


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.01)


def test_keys_change_nothing_of_the_model(scene: Scene) -> None:
    thetas = []
    for encrypted in (False, True):
        watch = Watch()
        if encrypted:
            scene.start_workers()
            summary = scene.serve(watch, scheme="uncoded", rounds=20)
        else:
            scene.cluster.start(
                [WorkerSettings(connect=scene.address, name=f"w{i}", slot=i) for i in range(K)]
            )
            summary = scene.serve(watch, scheme="uncoded", rounds=20, keys={})
        assert summary.exit_code == EXIT_OK
        scene.all_end_well()
        thetas.append(watch.theta)
    plain, keyed = thetas
    assert plain.any()
    assert np.array_equal(plain, keyed)


def test_a_secret_that_others_read_starts_nothing(scene: Scene) -> None:
    (scene.keys / "master.key").chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        scene.serve(Watch())
    (scene.keys / "w0.key").chmod(0o644)
    assert (
        main(
            [
                *("worker", "--connect", scene.address),
                *("--keys-secret", str(scene.keys / "w0.key")),
                *("--keys-master", str(scene.keys / "master.pub")),
            ]
        )
        == 2
    )


def test_revoked_while_running_and_allowed_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """1. A key's file is removed. 2. Its worker is cut off, and the run goes on without it.

    3. It tries again and is refused. 4. The file is back, and so is the worker, never restarted.
    """
    caplog.set_level(logging.WARNING)
    scene.start_workers()
    watch = Watch()
    file = scene.allowed / "w2.pub"
    content = file.read_bytes()

    def attack() -> None:
        until(lambda: watch.slots() == set(range(K)), "all four at work")
        file.unlink()
        until(lambda: any("w2 is cut off" in n for n in watch.notices), "the cut")
        until(lambda: 2 not in watch.slots(), "rounds without slot 2")
        until(lambda: any("handshake-key" in r.message for r in caplog.records), "a refusal")
        assert watch.slots() == {0, 1, 3}
        file.write_bytes(content)
        until(lambda: 2 in watch.slots(), "the return of w2")

    summary = scene.serve_while(watch, attack)
    assert summary.refused["handshake-key"] >= 1
    assert set(summary.refused) <= {"handshake-key", "revoked-key", "unknown-peer"}
    assert sum("worker w2 came in under the key w2" in n for n in watch.notices) == 2
    assert refused(watch.metrics) == summary.refused
    assert placements(watch.metrics, 2) == 2
    [told] = [n for n in watch.notices if "w2 is cut off" in n]
    assert told.endswith("its key w2 was revoked")
    scene.all_end_well()


def test_a_ban_is_on_the_key_and_on_no_name(scene: Scene) -> None:
    """1. A holder of a key takes the name of w1, and is sent away for what it sends.

    2. It is not let in under another name. 3. The worker whose name it took is back.
    """
    public = scene.keys / "stranger.pub"
    (scene.allowed / public.name).write_bytes(public.read_bytes())
    scene.start_workers()
    watch = Watch()

    def attack() -> None:
        until(lambda: watch.slots() == set(range(K)), "all four at work")
        keys = WorkerKeys(
            read_secret(scene.keys / "stranger.key"), read_public(scene.keys / "master.pub")
        )
        with (
            zmq.Context() as context,
            connect_dealer(context, scene.address, identity=b"rogue", keys=keys) as rogue,
        ):
            rogue.linger = 0
            rogue.send_multipart(encode(Hello(PROTOCOL_VERSION, "w1", "1", "h")))
            for _ in range(3):
                rogue.send_multipart([msgpack.packb({"kind": "result"})])
            assert hear(rogue, Stop).code == "set-aside"
            rogue.send_multipart(encode(Hello(PROTOCOL_VERSION, "w2", "1", "h")))
            assert hear(rogue, Refuse).code == "set-aside"
        until(lambda: 1 not in watch.slots(), "rounds without slot 1")
        scene.start_workers(1)
        until(lambda: watch.slots() == set(range(K)), "the return of w1")

    summary = scene.serve_while(watch, attack)
    refusals = {k: n for k, n in summary.refused.items() if k != "unknown-peer"}
    assert refusals == {"malformed": 3, "set-aside": 1}, (
        "besides what w1 was at when it was replaced"
    )
    assert sum("is sent away" in n for n in watch.notices) == 1
    assert [placements(watch.metrics, i) for i in (0, 2, 3)] == [1, 1, 1]
    scene.all_end_well()


def hear(socket: zmq.Socket[bytes], kind: type[Said]) -> Said:
    """Return the next message of a kind."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if socket.poll(100):
            message = decode(socket.recv_multipart(), TO_WORKER)
            if isinstance(message, kind):
                return message
    raise AssertionError(f"no {kind.__name__} came")


def test_strangers_learn_nothing_and_stop_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """No key, wrong key, plain HTTP, garbage, half-open connections, all at once and repeatedly.

    Nobody receives more than ZeroMQ's own greeting, every attempt is counted, and rounds go on.
    """
    caplog.set_level(logging.WARNING)
    scene.start_workers()
    watch = Watch()
    received: list[bytes] = []
    half_open = 300
    callers: list[zmq.Socket[bytes]] = []

    def attack() -> None:
        with ExitStack() as stack, zmq.Context() as context:
            for _ in range(half_open):
                stack.enter_context(socket.create_connection(("127.0.0.1", scene.port)))
            master = read_public(scene.keys / "master.pub")
            wrong = WorkerKeys(read_secret(scene.keys / "stranger.key"), master)
            hello = encode(Hello(PROTOCOL_VERSION, "w1", "1", "h", slot=1))
            result = encode(Result(0, 1, 1, 0, (packed(np.full(60, 1e9)),), [0.0], 0.0, 0.0))
            for i, keys in enumerate([None, wrong] * 5):
                caller = connect_dealer(context, scene.address, identity=b"s%d" % i, keys=keys)
                caller.setsockopt(zmq.LINGER, 0)
                for frames in (hello, result):
                    caller.send_multipart(frames, zmq.NOBLOCK)
                callers.append(caller)
            for said in (b"GET /model HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(300), b"\0" * 99):
                received.extend(answer_to(scene.port, said) for _ in range(5))
            assert watch.last is not None
            from_here = watch.last.round + 50
            until(lambda: watch.last is not None and watch.last.round > from_here, "50 rounds")

            def all_known() -> bool:
                lines = "".join(r.message for r in caplog.records)
                return "handshake-key" in lines and "handshake-failed" in lines

            until(all_known, "what was said of them")
            for caller in callers:
                assert not caller.poll(0)
                caller.close()

    summary = scene.serve_while(watch, attack, limits={"handshake_s": 0.5})
    greeting = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE".ljust(64, b"\0")
    assert all(greeting.startswith(r) for r in received)
    assert summary.refused["handshake-failed"] >= 5 + 15
    assert summary.refused["handshake-key"] >= 5
    assert refused(watch.metrics) == summary.refused
    # Nobody came far enough to send a message, so there was none to refuse; a worker of the run may
    # answer twice where the machine is so busy that the master sends a round again.
    turned_away = {"handshake-failed", "handshake-key", "too-many-connections"}
    assert set(summary.refused) <= {*turned_away, "duplicate"}
    assert sum("registered" in n for n in watch.notices) == K
    assert sum("came in under the key" in n for n in watch.notices) == K
    assert not any("took the place" in n for n in watch.notices)
    assert any("127.0.0.1" in r.message for r in caplog.records)


def test_a_master_may_open_all_that_the_hard_limit_allows(scene: Scene) -> None:
    """Without descriptors libzmq spins and no checkpoint can be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 600), hard))
        scene.serve(Watch(), membership={"max_wait_s": 0.1}, limits={"max_connections": 1000})
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] in (hard, 10_240)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("messages", "limited"), [(20_000, False), (5_000, True)], ids=["all-read", "limited"]
)
def test_thousands_of_damaged_messages_change_nothing(messages: int, limited: bool) -> None:
    """The benchmark on a small scale: the same model to the last bit, and every message counted."""
    command = [
        sys.executable,
        str(BENCHMARKS / "hostile.py"),
        "--messages",
        str(messages),
        "--json",
    ]
    done = subprocess.run(
        [*command, *(["--limited"] if limited else [])],
        capture_output=True,
        check=False,
        timeout=280,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["exit_code"] == EXIT_OK
    assert found["same_model"]
    assert found["rounds_under_fire"] > 0
    sent, refused = found["sent"], found["refused"]
    assert sum(refused.values()) == sum(sent.values()) >= messages
    if limited:
        assert refused["rate-limited"] > 0
    else:
        assert refused == {reason: count for reason, count in sent.items() if count}
    assert found["memory_peak_mb"] - found["memory_first_mb"] < 30
