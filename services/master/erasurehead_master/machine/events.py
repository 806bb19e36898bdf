"""What can happen to the master's state machine."""

from __future__ import annotations

from msgspec import Struct

from erasurehead.wire.messages import Refusal, ToMaster


class Received(Struct, frozen=True):
    """A well-formed message came.

    `key` is what the key is called that a HELLO came under, if connections have keys.
    """

    peer: bytes
    message: ToMaster
    key: str | None = None


class Garbage(Struct, frozen=True):
    """Something came that is not the protocol; `greeting` if it was meant as a HELLO."""

    peer: bytes
    reason: Refusal
    sentence: str
    greeting: bool = False


class Unreachable(Struct, frozen=True):
    """A message could not be sent: the peer is gone, or does not read."""

    peer: bytes


class Departed(Struct, frozen=True):
    """The process of the worker of this name has ended (known for local processes only).

    `last`: there is no other, and no more will be started.
    """

    name: str
    why: str
    last: bool = False


class CutOff(Struct, frozen=True):
    """A peer's connection was ended by us, and nothing it says is taken any more."""

    peer: bytes
    why: str


class TurnedAway(Struct, frozen=True):
    """Something was turned away before it was looked at; counted, and nothing else."""

    reason: Refusal


class Woke(Struct, frozen=True):
    """Time has passed. The shell drains its inbox before it says so."""


class Wanted(Struct, frozen=True):
    """The open round is not enough without one arrival of each of these groups, if one can come."""

    groups: tuple[frozenset[int], ...]


class Stepped(Struct, frozen=True):
    """The method has taken the step of the round that was closed; or why it could not.

    `enough` is why the run is done after it, if it is.
    """

    diverged: str | None = None
    enough: str | None = None


class Enough(Struct, frozen=True):
    """The run is done, with the last step that was taken; an open round is of no use."""

    reason: str


class Shutdown(Struct, frozen=True):
    """Somebody wants the run to end after the open round, if that closes soon.

    `interrupted`: a user wants it to end now, unfinished. A second wish ends it now, too.
    """

    interrupted: bool
    reason: str


Event = (
    Received
    | Garbage
    | TurnedAway
    | Unreachable
    | Departed
    | CutOff
    | Woke
    | Wanted
    | Stepped
    | Enough
    | Shutdown
)
