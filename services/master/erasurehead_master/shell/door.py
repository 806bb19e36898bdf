"""The door stands between the socket and the state machine: which peers are heard at all.

It knows under which key and over which connection each peer last spoke, drops what comes under a
revoked key, ignores a peer for a while that sent too much that was refused, and turns the gate's
news into events for the machine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from erasurehead.network.backlog import FRAMING_BYTES
from erasurehead.network.descriptors import cut
from erasurehead.network.gate import Gate, Revoked, TurnedAway
from erasurehead.network.limits import REMEMBERED_PEERS, RefusalLimit
from erasurehead.network.sockets import Origin
from erasurehead.settings.groups import LimitSettings
from erasurehead.wire.messages import Refusal
from erasurehead_master.machine import events


class Door:
    """Decides for each message whether it is looked at.

    Parameters
    ----------
    gate: answers for keys; its thread runs.
    limits: how many refused messages are put up with.
    max_members: no fewer peers are remembered.
    """

    def __init__(self, gate: Gate, limits: LimitSettings, max_members: int) -> None:
        self._gate = gate
        self._refusals = RefusalLimit(limits.refused_burst, limits.refused_per_s, limits.mute_s)
        self._origins: OrderedDict[bytes, Origin] = OrderedDict()
        self._remembered = max(REMEMBERED_PEERS, max_members)

    @property
    def keyed(self) -> bool:
        """True when every connection has a key."""
        return self._gate.keyed

    def key_name(self, origin: Origin) -> str:
        """Return what the key of a connection is called in the directory of keys."""
        return self._gate.key_name(origin.key)

    def turns_away(self, origin: Origin, now: float) -> Refusal | None:
        """Return the reason why a message is not looked at, or None."""
        if not self._gate.admits(origin.key):
            # Let in before its key was revoked; libzmq asks at the handshake only.
            cut(origin.descriptor)
            return "revoked-key"
        known = self._origins.get(origin.peer)
        if known is None or known.descriptor != origin.descriptor or known.key != origin.key:
            self._gate.spoke(origin.descriptor)
            if len(self._origins) >= self._remembered:
                self._origins.popitem(last=False)
            self._origins[origin.peer] = origin
        self._origins.move_to_end(origin.peer)
        return "rate-limited" if self._refusals.muted(origin.peer, now) else None

    def delivered(self, origin: Origin, n_frames: int, n_bytes: int) -> None:
        """Note that a message came, whatever becomes of it."""
        self._gate.delivered(origin.descriptor, n_bytes + FRAMING_BYTES * n_frames)

    def refused(self, peer: bytes, now: float) -> None:
        """Note that a message of this peer was refused."""
        self._refusals.refused(peer, now)

    def news(self) -> Iterator[events.Event]:
        """Yield what the machine must hear of the gate."""
        for news in self._gate.news():
            if isinstance(news, TurnedAway):
                yield events.TurnedAway(news.reason)
            elif isinstance(news, Revoked):
                yield from self._revoke(news)

    def _revoke(self, revoked: Revoked) -> Iterator[events.Event]:
        for peer, origin in list(self._origins.items()):
            if origin.key in revoked.names:
                del self._origins[peer]
                cut(origin.descriptor)
                yield events.CutOff(peer, f"its key {revoked.names[origin.key]} was revoked")
