"""Who is listened to: revoked keys, floods of refused messages, too many members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from erasurehead.errors import UsageError
from erasurehead.network.gate import Gate, News, Revoked, TurnedAway
from erasurehead.network.limits import REMEMBERED_PEERS
from erasurehead.network.sockets import Origin
from erasurehead.settings.groups import LimitSettings
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.messages import PROTOCOL_VERSION, REFUSALS, Hello, Refuse
from erasurehead_master.machine import events
from erasurehead_master.machine.actions import Send
from erasurehead_master.machine.events import CutOff, Received
from erasurehead_master.shell import door as door_module
from erasurehead_master.shell.door import Door
from erasurehead_simulator.virtual.cluster import VirtualCluster

Virtual = Callable[..., VirtualCluster]


class FakeGate(Gate):
    """Says what it is told to, and has neither sockets nor a thread."""

    keyed = True

    def __init__(self) -> None:
        self.allowed: set[str | None] = {"KEY", "OTHER"}
        self.spoken: list[int] = []
        self.waiting: list[News] = []

    def admits(self, key: str | None) -> bool:
        return key in self.allowed

    def spoke(self, descriptor: int) -> None:
        self.spoken.append(descriptor)

    def news(self) -> list[News]:
        waiting, self.waiting = self.waiting, []
        return waiting


@dataclass
class Scene:
    """A door, what its gate says, and the connections that it cut."""

    gate: FakeGate
    cuts: list[int]
    door: Door


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    gate = FakeGate()
    cuts: list[int] = []
    monkeypatch.setattr(door_module, "cut", cuts.append)
    limits = LimitSettings(refused_burst=2, refused_per_s=1.0, mute_s=5.0)
    return Scene(gate, cuts, Door(gate, limits, 10))


def test_a_revoked_key_is_told_once_and_refused_from_then_on(scene: Scene) -> None:
    for peer, key, descriptor in [(b"a", "KEY", 7), (b"b", "OTHER", 8), (b"c", "KEY", 9)]:
        assert scene.door.turns_away(Origin(peer, key, descriptor), 0.0) is None
    scene.gate.allowed = {"OTHER"}
    scene.gate.waiting = [Revoked({"KEY": "worker-3"})]
    events = list(scene.door.news())
    assert events == [CutOff(p, "its key worker-3 was revoked") for p in (b"a", b"c")]
    assert scene.cuts == [7, 9]
    assert scene.door.turns_away(Origin(b"a", "KEY", 12), 1.0) == "revoked-key"
    assert scene.cuts == [7, 9, 12]
    assert scene.door.turns_away(Origin(b"b", "OTHER", 8), 1.0) is None
    assert not list(scene.door.news())


def test_a_key_is_judged_by_the_connection_and_not_by_the_routing_id(
    scene: Scene,
) -> None:
    """Somebody with another key takes over a routing id: their revocation is their own."""
    scene.door.turns_away(Origin(b"a", "KEY", 7), 0.0)
    scene.door.turns_away(Origin(b"a", "OTHER", 8), 0.0)
    scene.gate.allowed = {"OTHER"}
    scene.gate.waiting = [Revoked({"KEY": "worker-3"})]
    assert not list(scene.door.news())
    assert scene.gate.spoken == [7, 8]


def test_refused_messages_mute_their_sender_only(scene: Scene) -> None:
    a, b = Origin(b"a", "KEY", 7), Origin(b"b", "KEY", 8)
    for _ in range(3):
        assert scene.door.turns_away(a, 0.0) is None
        scene.door.refused(b"a", 0.0)
    assert scene.door.turns_away(a, 4.9) == "rate-limited"
    assert scene.door.turns_away(b, 4.9) is None
    assert scene.door.turns_away(a, 5.0) is None


def test_many_routing_ids_do_not_grow_memory(scene: Scene) -> None:
    for i in range(2 * REMEMBERED_PEERS):
        scene.door.turns_away(Origin(i.to_bytes(4, "big"), "KEY", 7), 0.0)
    assert len(scene.door._origins) == REMEMBERED_PEERS


def test_what_the_gate_turns_away_is_counted(scene: Scene, virtual: Virtual) -> None:
    scene.gate.waiting = [TurnedAway("handshake-failed"), TurnedAway("handshake-key")] * 2
    cluster = virtual(workers=2, scheme="uncoded")
    for event in scene.door.news():
        assert isinstance(event, events.TurnedAway)
        assert event.reason in REFUSALS
        cluster.handle(event)
    assert cluster.machine.admission.refused == {"handshake-failed": 2, "handshake-key": 2}


def test_a_worker_that_is_cut_off_frees_its_slot_and_hears_nothing_of_it(virtual: Virtual) -> None:
    cluster = virtual(workers=2, scheme="uncoded", delay="exponential:mean_s=9")
    for name in ("w0", "w1", "spare"):
        cluster.start(name)
    cluster.run(until_s=0.001)
    machine = cluster.machine
    victim = next(m for m in machine.membership.members.values() if m.name == "w1")
    actions = machine.handle(CutOff(victim.peer, "its key w1 was revoked"), cluster.clock.now)
    assert not [a for a in actions if isinstance(a, Send) and a.peer == victim.peer]
    assert machine.membership.holders[1] is not None
    assert machine.membership.holders[1].name == "spare"
    assert any("w1 is cut off: its key w1" in getattr(a, "text", "") for a in actions)
    assert not machine.handle(CutOff(b"nobody", "x"), cluster.clock.now)
    machine.validate()


def test_members_are_limited(virtual: Virtual) -> None:
    """Who greets under ever new names fills no memory; who is known is never sent away."""
    cluster = virtual(workers=2, scheme="uncoded", limits={"max_connections": 3})
    for i in range(5):
        cluster.handle(Received(b"%d" % i, Hello(PROTOCOL_VERSION, f"w{i}", "1", "h")))
    assert len(cluster.machine.membership.members) == 3
    assert cluster.machine.admission.refused == {"too-many-members": 2}
    cluster.handle(Received(b"elsewhere", Hello(PROTOCOL_VERSION, "w1", "1", "h")))
    assert {m.name for m in cluster.machine.membership.members.values()} == {"w0", "w1", "w2"}
    assert cluster.machine.admission.refused == {"too-many-members": 2}
    again = Received(b"0", Hello(PROTOCOL_VERSION, "w0", "1", "h"))
    told = cluster.machine.handle(again, 0.0)
    assert not [a for a in told if isinstance(a, Send) and isinstance(a.message, Refuse)]


def test_the_limit_leaves_room_for_the_workers() -> None:
    with pytest.raises(UsageError, match="leaves no room for workers=12"):
        load(RunSettings, {"store": "s", "limits": {"max_connections": 5}}, environment={})
    assert load(RunSettings, {"store": "s"}, environment={}).max_connections == 2 * 12 + 256
