"""How much of a nuisance a peer may be: refused messages, log lines, connections. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

REMEMBERED_PEERS = 4096


class Allowance:
    """A token bucket: `burst` at once, then `per_s` a second.

    Parameters
    ----------
    now: the clock's reading.
    """

    def __init__(self, burst: float, per_s: float, now: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Use one up; False when there is none."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class LogLimit:
    """Lets the first lines of each kind through, then a trickle, and says how many it kept back.

    Parameters
    ----------
    burst: lines of one kind at once.
    per_s: lines of one kind a second in the long run.
    """

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._allowances: dict[Hashable, Allowance] = {}
        self._kept_back: dict[Hashable, int] = {}

    def admit(self, kind: Hashable, text: str, now: float) -> str | None:
        """Return the line to write, with what was kept back before it, or None.

        `kind` must come from a small set.
        """
        allowance = self._allowances.get(kind)
        if allowance is None:
            allowance = self._allowances[kind] = Allowance(self._burst, self._per_s, now)
        if not allowance.take(now):
            self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
            return None
        kept_back = self._kept_back.pop(kind, 0)
        return f"{text} ({kept_back} similar lines before it were left out)" if kept_back else text


@dataclass(slots=True)
class _Record:
    allowance: Allowance
    muted_until: float


class RefusalLimit:
    """Mutes a peer for a while that sends too much that is refused.

    It remembers only peers with refused messages, and at most `REMEMBERED_PEERS` of them.

    Parameters
    ----------
    burst: refused messages that a peer may send at once.
    per_s: refused messages a second that a peer may send in the long run.
    mute_s: seconds for which the master ignores a peer that sent more.
    """

    def __init__(self, burst: int, per_s: float, mute_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._mute_s = mute_s
        self._records: OrderedDict[bytes, _Record] = OrderedDict()

    def muted(self, peer: bytes, now: float) -> bool:
        """True while a peer is ignored."""
        record = self._records.get(peer)
        return record is not None and now < record.muted_until

    def refused(self, peer: bytes, now: float) -> bool:
        """Count a refused message; True if the peer is ignored from now on."""
        record = self._records.get(peer)
        if record is None:
            if len(self._records) >= REMEMBERED_PEERS:
                self._records.popitem(last=False)
            record = _Record(Allowance(self._burst, self._per_s, now), 0.0)
            self._records[peer] = record
        self._records.move_to_end(peer)
        if record.allowance.take(now):
            return False
        record.muted_until = now + self._mute_s
        return True
