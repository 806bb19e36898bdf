"""A network between workers and master that is cut, or swallows everything, and is healed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from erasurehead.errors import EXIT_OK
from erasurehead.records import RoundRecord
from tests.support.fault_scene import FOREVER, K, Scene, Watch, after, end, slots_of
from tests.support.scraped_metrics import placements, workers


class Relay:
    """Passes bytes between workers and the master, until its network fails.

    Parameters
    ----------
    target: the master's port.
    silent: what is sent while the network is down waits, as TCP makes it wait; otherwise all
        connections are dropped, and new ones refused.
    """

    def __init__(self, target: int, *, silent: bool) -> None:
        self._target = target
        self._silent = silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[socket.socket] = []
        self._up = threading.Event()
        self._up.set()
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._up.clear()
        if not self._silent:
            self._drop()

    def heal(self) -> None:
        self._up.set()

    def close(self) -> None:
        self._ended = True
        self._drop()
        self._up.set()
        self._listener.close()

    def _drop(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for connected in pairs:
            connected.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._up.is_set() and not self._silent:
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
                self._up.wait()
                sink.sendall(chunk)
        except OSError:
            pass
        finally:
            source.close()
            sink.close()


@pytest.fixture(params=[False, True], ids=["cut", "silent"])
def relay(request: pytest.FixtureRequest, fault_scene: Scene) -> Iterator[Relay]:
    """All workers are behind it."""
    made = Relay(fault_scene.port, silent=request.param)
    fault_scene.start_all(made.port)
    yield made
    made.close()


def test_a_network_cut_and_healed(fault_scene: Scene, relay: Relay) -> None:
    """1. It fails in mid-round. 2. Everybody is silent beyond the limit, and every slot is free.

    3. It is healed, and all are back with the rows they have; nobody has given up.
    """
    alone: list[dict[str, float]] = []
    healed_after: list[int] = []

    def cut() -> None:
        relay.cut()

        def heal() -> None:
            watch.until_said("no worker is left")
            alone.append(watch.scrape())
            healed_after.append(watch.records[-1].round)
            relay.heal()

        threading.Thread(target=heal).start()

    def all_are_back(records: list[RoundRecord]) -> bool:
        since = (r for r in records if healed_after and r.round > healed_after[0])
        return {slot for record in since for slot in slots_of(record)} == set(range(K))

    watch = Watch((after(30), cut), (all_are_back, end))
    summary = fault_scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("was silent for") >= K
    assert watch.said("no worker is left") == 1
    assert workers(alone[0], "ready") == 0
    assert sum(placements(watch.metrics, i) for i in range(K)) > K
    fault_scene.cluster.poll()
    assert not any(fault_scene.cluster.exit_codes.values()), "a worker gave up"


def test_a_short_cut_goes_unnoticed(fault_scene: Scene, relay: Relay) -> None:
    """It fails and comes back within the limit: nobody loses a slot."""

    def blip() -> None:
        relay.cut()
        relay.heal()

    watch = Watch(*((after(n), blip) for n in (30, 60, 90)))
    summary = fault_scene.serve(
        watch,
        rounds=150,
        membership={"silence_limit_s": 30.0, "heartbeat_interval_s": 0.2},
    )
    assert summary.exit_code == EXIT_OK
    assert summary.rounds == 150
    assert watch.said("was silent") == 0
    assert [placements(watch.metrics, i) for i in range(K)] == [1] * K
