"""RESULT, HELLO and garbage: what the master's state machine takes, refuses and counts."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from erasurehead.errors import EXIT_OK
from erasurehead.wire.messages import PROTOCOL_VERSION, Hello, Refuse, Result, ToMaster
from erasurehead.wire.vectors.base import Packed
from erasurehead_master.machine.actions import Send
from erasurehead_master.machine.events import Garbage, Received
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_simulator.virtual.worker import VirtualWorker
from tests.support.example_messages import packed
from tests.support.master_scene import Virtual, result_of, running, start_all, theta_of
from tests.support.virtual_run import COLUMNS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"slot": 1}, "wrong-slot"),
        ({"epoch": 3}, "wrong-slot"),
        ({"round": 9}, "wrong-shape"),
        ({"round": 0}, "wrong-shape"),
        ({"part": 1}, "wrong-shape"),
        ({"vectors": (packed(np.ones(3)),)}, "wrong-shape"),
        ({"vectors": (packed(np.ones(COLUMNS)),) * 2}, "wrong-shape"),
        ({"vectors": (Packed("f8", 10**18, ()),)}, "wrong-shape"),
        ({"vectors": (packed(np.ones(COLUMNS), "f4"),)}, "wrong-format"),
        ({"vectors": (Packed("mystery", COLUMNS, ()),)}, "wrong-format"),
        ({"vectors": (Packed("f8", COLUMNS, packed(np.ones(3)).arrays),)}, "wrong-format"),
        ({"loss": [1.0, 1.0]}, "wrong-shape"),
        ({"vectors": (packed(np.full(COLUMNS, np.nan)),)}, "non-finite"),
        ({"loss": [float("inf")]}, "non-finite"),
        # One such number in the sum of all losses would look like divergence.
        ({"loss": [1e200]}, "non-finite"),
        ({"loss": [-1e150]}, "non-finite"),
    ],
)
def test_wrong_results_are_refused_and_counted(
    virtual: Virtual, changes: dict[str, object], reason: str
) -> None:
    cluster = running(virtual)
    event = result_of(cluster)
    (good,) = [event.message]
    fields = {name: getattr(good, name) for name in Result.__struct_fields__} | changes
    cluster.handle(Received(event.peer, Result(**fields)))
    assert cluster.machine.admission.refused == {reason: 1}
    assert cluster.machine.training.rounds.n_arrived == 0


def test_a_second_result_of_a_round_is_a_duplicate(virtual: Virtual) -> None:
    cluster = running(virtual, workers=3)
    for slot in (0, 0, 1, 1, 0):
        cluster.handle(result_of(cluster, slot))
    assert cluster.machine.admission.refused == {"duplicate": 3}
    assert cluster.machine.training.rounds.n_arrived == 2


def test_a_worker_that_keeps_sending_nan_is_set_aside(virtual: Virtual) -> None:
    """1. Three wrong results. 2. STOP. 3. Its HELLO is refused from then on.

    4. Another process may have its name.
    """
    cluster = running(virtual)
    peer = result_of(cluster).peer
    for _ in range(3):
        cluster.handle(result_of(cluster, vectors=(packed(np.full(COLUMNS, np.nan)),)))
    assert list(cluster.machine.membership.set_aside) == [peer]
    assert peer not in cluster.machine.membership.members
    cluster.run(until_s=cluster.clock.now + 0.001)
    (exit_,) = [w.exit for w in cluster.workers.values() if w.exit]
    assert exit_.code == 5
    cluster.handle(Received(peer, Hello(PROTOCOL_VERSION, "w0", "1", "h")))
    assert cluster.machine.admission.refused["set-aside"] == 1
    cluster.handle(Received(b"new", Hello(PROTOCOL_VERSION, "w0", "1", "h")))
    assert cluster.machine.admission.refused["set-aside"] == 1
    assert cluster.machine.membership.members[b"new"].name == "w0"


def test_where_there_are_keys_a_ban_is_on_the_key(virtual: Virtual) -> None:
    """Its holder takes each name there is; none of them is lost for others."""
    machine = virtual(workers=3, scheme="uncoded").machine
    for i in range(3):
        peer, hello = b"rogue%d" % i, Hello(PROTOCOL_VERSION, f"w{i}", "1", "h")
        machine.handle(Received(peer, hello, "borrowed"), 0.0)
        for _ in range(3):
            machine.handle(Garbage(peer, "malformed", "no result"), 0.0)
    assert list(machine.membership.set_aside) == ["borrowed"]
    assert machine.admission.refused["set-aside"] == 2
    for i in range(3):
        hello = Hello(PROTOCOL_VERSION, f"w{i}", "1", "h")
        machine.handle(Received(b"honest%d" % i, hello, f"key{i}"), 0.0)
    assert [m.name for m in machine.membership.holders if m] == ["w0", "w1", "w2"]


HUGE = [1e14, 1e90, 1e150, 1e200, 1.7e308]


@pytest.mark.parametrize("scheme", ["uncoded", "cached"])
@pytest.mark.parametrize("size", HUGE)
def test_no_single_result_ends_a_run(virtual: Virtual, scheme: str, size: float) -> None:
    """However large, whenever it comes: a worker lies from the first round on, and comes first."""
    lying, plain = (virtual(scheme=scheme, workers=4, rounds=12) for _ in range(2))
    really = lying.to_master

    def to_master(worker: VirtualWorker, message: ToMaster) -> None:
        if isinstance(message, Result) and worker.name == "w0":
            vectors = tuple(packed(np.full(v.n, size)) for v in message.vectors)
            message = replace(message, vectors=vectors)
        really(worker, message)

    lying.to_master = to_master  # type: ignore[method-assign]
    for cluster in (lying, plain):
        start_all(cluster)
        cluster.run()
        assert cluster.finished is not None
        assert cluster.finished.exit_code == EXIT_OK
    assert list(lying.machine.membership.set_aside) == [next(iter(lying.workers))]
    assert np.linalg.norm(theta_of(lying)) < 100 * (1 + np.linalg.norm(theta_of(plain)))
    assert not any(m.strikes for m in lying.machine.membership.members.values())


def test_a_model_that_grows_at_once_is_no_worker_s_fault(virtual: Virtual) -> None:
    cluster = virtual(scheme="uncoded", workers=4, rounds=30, step="1e11")
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert "smaller --step" in cluster.finished.reason
    assert not cluster.machine.membership.set_aside
    assert set(cluster.machine.admission.refused) <= {"non-finite"}


def test_what_waits_to_be_compared_is_not_lost_with_its_worker(virtual: Virtual) -> None:
    cluster = running(virtual, workers=2)
    large = np.full(COLUMNS, 1e12)
    cluster.handle(result_of(cluster, 0, vectors=(packed(large),)))
    assert cluster.machine.training.rounds.n_arrived == 0, "nothing to compare it with"
    first, second = cluster.workers.values()
    cluster.depart(first)
    cluster.depart(second)
    (record,) = cluster.records
    assert [a.slot for a in record.arrivals] == [0]


def test_a_loss_that_no_parameters_have_is_refused(virtual: Virtual) -> None:
    cluster = running(virtual)
    event = result_of(cluster)
    assert isinstance(event.message, Result)
    cluster.handle(Received(event.peer, replace(event.message, loss=[-1e-3])))
    assert cluster.machine.admission.refused == {"impossible-loss": 1}


def test_old_results_again_are_duplicates_that_limits_know(virtual: Virtual) -> None:
    """One late result of a slot, part and round; the rest are refused, and not recorded."""
    cluster = virtual(
        scheme="uncoded:r=2", workers=4, rounds=30, timing=Timing(compute_s=lambda s, _: 1.0 + s)
    )
    start_all(cluster)
    cluster.run(until_s=0.5)
    in_time, late = result_of(cluster, slot=0), result_of(cluster, slot=3)
    cluster.run(until_s=2.5)
    for _ in range(5):
        cluster.handle(in_time)
        cluster.handle(late)
    assert cluster.machine.admission.refused == {"duplicate": 9}
    before = cluster.machine.training._lateness.take()
    assert [(entry.slot, entry.round) for entry in before] == [(3, 1)]


def test_strangers_are_asked_to_register(virtual: Virtual) -> None:
    cluster = running(virtual)
    cluster.handle(Received(b"stranger", result_of(cluster).message))
    assert cluster.machine.admission.refused == {"unknown-peer": 1}


def test_garbage_is_counted_by_reason(virtual: Virtual) -> None:
    cluster = running(virtual)
    cluster.handle(Garbage(b"stranger", "malformed", "not msgpack"))
    cluster.handle(Garbage(b"stranger", "too-large", "a frame of 9 bytes"))
    assert cluster.machine.admission.refused == {"malformed": 1, "too-large": 1}
    assert cluster.machine.training.rounds.is_open


def test_who_greets_wrongly_is_told(virtual: Virtual) -> None:
    """It would greet for ever. A member has greeted before: that one is struck, not refused."""
    cluster = running(virtual)
    actions = cluster.machine.handle(Garbage(b"new", "malformed", "name?", greeting=True), 0.0)
    assert Send(b"new", Refuse("malformed", "name?")) in actions
    member = result_of(cluster).peer
    actions = cluster.machine.handle(Garbage(member, "malformed", "name?", greeting=True), 0.0)
    assert not any(isinstance(a, Send) for a in actions)
    assert cluster.machine.membership.members[member].strikes == 1
