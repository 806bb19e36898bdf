"""Peers that speak ZeroMQ and not quite the protocol: told, counted by reason, and survived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from msgspec.structs import replace

from erasurehead.errors import EXIT_OK
from erasurehead.network.sockets import connect_dealer
from erasurehead.records import RunSummary
from erasurehead.wire.frames import Buffer, decode, encode
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    TO_WORKER,
    Assign,
    Goodbye,
    Heartbeat,
    Hello,
    Ready,
    Refuse,
    Register,
    Result,
    Step,
    Stop,
)
from erasurehead.wire.sizes import MAX_HEADER_BYTES
from tests.support.example_messages import packed
from tests.support.fault_scene import FOREVER, LIMIT_S, Deed, K, Scene, Watch, after, end
from tests.support.scraped_metrics import placements, refused, workers

PATIENT = {"silence_limit_s": 300.0, "heartbeat_interval_s": 60.0}
"""A worker by hand sends no heartbeats, and others shall be sent no round twice, however slow they
are: what is refused is counted here."""


class Peer:
    """A worker by hand."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket

    def say(self, frames: list[Buffer]) -> None:
        self._socket.send_multipart(frames)

    def hear(self, kind: type) -> object:
        """Return the next message of this kind."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            if isinstance(message := self.heard(), kind):
                return message
        raise AssertionError(f"no {kind.__name__} came")

    def heard(self) -> object | None:
        """Return the next message if one comes soon."""
        return decode(self._socket.recv_multipart(), TO_WORKER) if self._socket.poll(100) else None

    def take_part(self, name: str, slot: int) -> Assign:
        """Greet, and say that the rows are there."""
        self.say(encode(Hello(PROTOCOL_VERSION, name, "1", "h", slot)))
        assign = self.hear(Assign)
        assert isinstance(assign, Assign)
        self.say(encode(Ready(assign.epoch, assign.slot, 1, assign.digest)))
        return assign

    def result(self, assign: Assign) -> Result:
        """Return a result of the next round that comes."""
        step = self.hear(Step)
        assert isinstance(step, Step)
        vectors = (packed(np.zeros(assign.n_parameters)),) * assign.coefficients.shape[1]
        loss = [0.0] * len(vectors)
        return Result(assign.epoch, step.round, assign.slot, 0, vectors, loss, 0.0, 0.0)


@contextmanager
def peer(scene: Scene, identity: bytes) -> Iterator[Peer]:
    address = f"tcp://127.0.0.1:{scene.port}"
    with zmq.Context() as context, connect_dealer(context, address, identity=identity) as socket:
        socket.linger = 0
        yield Peer(socket)


class Act(threading.Thread):
    """Does something on a thread of its own, then ends the run, unless told otherwise."""

    def __init__(self, act: Callable[[], None], then: Deed = end) -> None:
        super().__init__()
        self._act = act
        self._then = then
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self._failure = error
        finally:
            self._then()

    def over(self) -> None:
        self.join()
        if self._failure is not None:
            raise self._failure


def serve_while(scene: Scene, act: Callable[[], None], watch: Watch) -> RunSummary:
    """Serve a run without end of its own until `act`, on another thread, is over."""
    acting = Act(act)
    acting.start()
    summary = scene.serve(watch, rounds=FOREVER, membership=PATIENT)
    acting.over()
    return summary


def test_wrong_messages_are_counted_by_reason_and_change_nothing(fault_scene: Scene) -> None:
    """Garbage, huge, truncated, of another version or direction, from nobody or to another slot.

    The run's workers never notice: all keep their slots.
    """
    fault_scene.start_all()
    hello = msgpack.unpackb(encode(Hello(PROTOCOL_VERSION, "x", "1", "h"))[0])
    sent: dict[str, list[list[Buffer]]] = {
        "malformed": [[b"\xc1 garbage"], [encode(Heartbeat(1, 0.0))[0][:-3]], [b"GET / HTTP/1.1"]],
        "too-large": [[b"\0" * (MAX_HEADER_BYTES + 1)]],
        "unknown-kind": [encode(Stop("finished", "I am the master"))],
        "unknown-peer": [encode(Heartbeat(1, 0.0))],
        "wrong-version": [
            [msgpack.packb({**hello, "protocol": PROTOCOL_VERSION + 1})],
            [msgpack.packb({**hello, "zone": "b"})],
        ],
    }

    def act() -> None:
        with peer(fault_scene, b"rogue") as rogue:
            for messages in sent.values():
                for frames in messages:
                    rogue.say(frames)
            assert isinstance(rogue.hear(Register), Register)
            for _ in sent["wrong-version"]:
                refusal = rogue.hear(Refuse)
                assert isinstance(refusal, Refuse)
                assert refusal.code == "wrong-version"
                assert f"speaks protocol {PROTOCOL_VERSION}" in refusal.reason

    acting = Act(act)
    watch = Watch((after(20), acting.start))
    summary = fault_scene.serve(watch, rounds=FOREVER, membership=PATIENT)
    acting.over()
    assert summary.exit_code == EXIT_OK
    assert refused(watch.metrics) == {reason: len(m) for reason, m in sent.items()}
    for reason in sent:
        assert watch.said(f"refused a message ({reason}): ") == len(sent[reason])
    assert [placements(watch.metrics, i) for i in range(K)] == [1] * K


def test_replayed_results_do_not_count_twice(fault_scene: Scene) -> None:
    """A member's result, said again, in its own round and later: a duplicate, never a gradient.

    The other workers are slow, so that the round is still open.
    """
    for i in range(K - 1):
        fault_scene.start(f"w{i}", i)

    def act() -> None:
        with peer(fault_scene, b"echo") as echo:
            assign = echo.take_part("echo", K - 1)
            result = echo.result(assign)
            frames = encode(result)
            for _ in range(3):
                echo.say(frames)
            later = echo.result(assign)
            assert later.round > result.round
            echo.say(frames)
            echo.say(encode(replace(later, slot=0)))
            echo.say(encode(Heartbeat(0, 0.0)))
            echo.hear(Heartbeat)
            echo.say(encode(Goodbye("no round shall wait for it")))

    acting = Act(act)
    acting.start()
    watch = Watch()
    summary = fault_scene.serve(
        watch,
        rounds=FOREVER,
        scheme="uncoded",
        delay="exponential:mean_s=0.3",
        membership=PATIENT,
    )
    acting.over()
    assert summary.exit_code == EXIT_OK
    assert refused(watch.metrics) == {"duplicate": 3, "wrong-slot": 1}
    assert watch.said("refused a message (duplicate): another result of round") == 3
    assert watch.said("refused a message (wrong-slot): a result of slot 0, from echo") == 1
    assert not any(r.late for r in watch.records)
    assert all(len({a.slot for a in r.arrivals}) == len(r.arrivals) for r in watch.records)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_worker_that_sends_no_numbers_is_set_aside(fault_scene: Scene, value: float) -> None:
    """1. It is refused and named, three times. 2. It is sent away, and not taken again.

    3. Its slot is free for somebody else.
    """
    for i in range(K - 1):
        fault_scene.start(f"w{i}", i)
    seen: list[dict[str, float]] = []

    def act() -> None:
        with peer(fault_scene, b"liar") as liar:
            assign = liar.take_part("liar", K - 1)
            for _ in range(3):
                result = liar.result(assign)
                vector = packed(np.full(assign.n_parameters, value))
                liar.say(encode(replace(result, vectors=(vector,))))
            stop = liar.hear(Stop)
            assert isinstance(stop, Stop)
            assert stop.code == "set-aside"
            liar.say(encode(Hello(PROTOCOL_VERSION, "liar", "1", "h")))
            refusal = liar.hear(Refuse)
            assert isinstance(refusal, Refuse)
            assert "set aside in this run for its wrong results" in refusal.reason
        seen.append(watch.scrape())
        with peer(fault_scene, b"honest") as honest:
            assert honest.take_part("honest", K - 1).slot == K - 1
            honest.hear(Step)

    watch = Watch()
    assert serve_while(fault_scene, act, watch).exit_code == EXIT_OK
    assert watch.said("worker liar sent a result that is not finite") == 3
    assert watch.said("worker liar is sent away") == 1
    assert refused(seen[0]) == {"non-finite": 3, "set-aside": 1}
    assert workers(seen[0], "set_aside") == 1
    assert workers(seen[0], "ready") == K - 1
    assert all(np.isfinite(r.train_loss) for r in watch.records)
    assert placements(watch.metrics, K - 1) == 2


def test_no_single_result_ends_a_run_and_a_ban_takes_no_name_from_others(
    fault_scene: Scene,
) -> None:
    """1. Huge and impossible numbers are refused, also in round 1. 2. Their sender is sent away.

    3. Another process of its name takes part.
    """
    for i in range(K - 1):
        fault_scene.start(f"w{i}", i)

    def act() -> None:
        with peer(fault_scene, b"liar") as liar:
            assign = liar.take_part("w3", K - 1)
            huge = (packed(np.full(assign.n_parameters, 1e150)),)
            lies: list[dict[str, Any]] = [{"vectors": huge}, {"loss": [-1e97]}, {"loss": [1e200]}]
            for lie in lies:
                liar.say(encode(replace(liar.result(assign), **lie)))
            stop = liar.hear(Stop)
            assert isinstance(stop, Stop)
            assert stop.code == "set-aside"
        with peer(fault_scene, b"honest") as honest:
            assert honest.take_part("w3", K - 1).slot == K - 1
            honest.hear(Step)

    watch = Watch()
    assert serve_while(fault_scene, act, watch).exit_code == EXIT_OK
    assert refused(watch.metrics) == {"non-finite": 2, "impossible-loss": 1}
    assert watch.said("worker w3 is sent away") == 1
    assert np.linalg.norm(watch.theta) < 1e3
    assert all(0 <= r.train_loss < 10 for r in watch.records)


def test_a_late_result_counts_once(fault_scene: Scene) -> None:
    """Said again and again, it is a duplicate: not recorded, and known to the limits."""
    for i in range(K - 1):
        fault_scene.start(f"w{i}", i)
    late: list[tuple[int, int]] = []

    def act() -> None:
        with peer(fault_scene, b"echo") as echo:
            assign = echo.take_part("echo", K - 1)
            result = echo.result(assign)
            late.append((K - 1, result.round))
            assert echo.result(assign).round > result.round
            for _ in range(4):
                echo.say(encode(result))
            echo.say(encode(Heartbeat(0, 0.0)))
            echo.hear(Heartbeat)

    watch = Watch()
    serve_while(fault_scene, act, watch)
    assert refused(watch.metrics) == {"duplicate": 3}
    found = [(told.slot, told.round) for r in watch.records for told in r.late]
    # The others are late where the machine is busy.
    assert [each for each in found if each[0] == K - 1] == late


@pytest.mark.parametrize(("signals", "drain_s"), [(1, 0.3), (2, 600.0)])
def test_a_worker_that_is_never_done_does_not_hold_the_end_up(
    fault_scene: Scene, signals: int, drain_s: float
) -> None:
    """It sends heartbeats only. The master gives the round up in time, or at a second SIGTERM."""
    for i in range(K - 1):
        fault_scene.start(f"w{i}", i)

    def act() -> None:
        with peer(fault_scene, b"mute") as mute:
            assign = mute.take_part("mute", K - 1)
            for _ in range(3):
                mute.say(encode(mute.result(assign)))
            mute.hear(Step)
            for ahead in reversed(range(signals)):
                end()
                mute.say(encode(Heartbeat(4, 0.0)))
                if ahead:
                    mute.hear(Heartbeat)  # or the two signals might be one
            until = time.monotonic() + LIMIT_S
            while not isinstance(said := mute.heard(), Stop) and time.monotonic() < until:
                if said is None:
                    mute.say(encode(Heartbeat(4, 0.0)))

    acting = Act(act, then=lambda: None)
    acting.start()
    watch = Watch()
    membership = {**PATIENT, "drain_s": drain_s}
    summary = fault_scene.serve(watch, rounds=FOREVER, scheme="uncoded", membership=membership)
    acting.over()
    assert summary.exit_code == EXIT_OK
    assert summary.reason == "asked to end by SIGTERM"
    assert summary.rounds == watch.records[-1].round == 3
    assert all(len(r.arrivals) == K for r in watch.records)


def test_a_name_and_a_reason_without_end_are_short_in_the_log(fault_scene: Scene) -> None:
    """What a peer says reaches a log in a few dozen characters."""
    for i in range(K - 1):
        fault_scene.start(f"w{i}", i)

    def act() -> None:
        with peer(fault_scene, b"chatter") as chatter:
            chatter.take_part("n" * 256, K - 1)
            chatter.say(encode(Goodbye("r" * 4096)))
            chatter.say(encode(Hello(PROTOCOL_VERSION, "quiet", "1", "h" * 4096)))
            chatter.hear(Assign)

    watch = Watch()
    serve_while(fault_scene, act, watch)
    assert watch.said("nnn") >= 2
    assert watch.said("rrr") == 1
    assert all(len(notice) < 250 for notice in watch.notices)
