"""What the master's state machine may ask its shell to do. Actions are data; order matters."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.decoding.base import Decoding
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.records import Arrival, Late, Level
from erasurehead.wire.messages import ToWorker
from erasurehead_master.machine.plan import RunPlan


@dataclass(frozen=True, slots=True)
class Send:
    """Send a control message to one peer."""

    peer: bytes
    message: ToWorker


@dataclass(frozen=True, slots=True)
class SendTask:
    """Send one chunk of the rows of a task to a peer that cannot read the store."""

    peer: bytes
    task: int
    chunk: int


@dataclass(frozen=True, slots=True)
class OpenRound:
    """Start a round: take the model to broadcast and forget what the last round folded in."""

    round: int


@dataclass(frozen=True, slots=True)
class SendStep:
    """Send the open round's model to these (slot, peer) pairs, in this order."""

    round: int
    targets: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Take an arrival into the gradient estimate.

    `weights` has one entry a vector: a number to fold it in with, 0.0 to drop it, None to keep it
    until the round closes.
    """

    vectors: tuple[CodedVector, ...]
    weights: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class FoldLate:
    """Offer a result that is `age` rounds old to an estimate that remembers."""

    vectors: tuple[CodedVector, ...]
    age: int


@dataclass(frozen=True, slots=True)
class CloseRound:
    """The round is over: decode, step, then tell the machine `Stepped`."""

    round: int
    reason: str
    decoding: Decoding
    arrivals: tuple[Arrival, ...]
    stragglers: tuple[int, ...]
    late: tuple[Late, ...]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The code is another one from the next round on; the model and its optimiser stay.

    `keep_memory`: what the gradient estimate remembers holds under the new code, too.
    """

    plan: RunPlan
    keep_memory: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell whoever watches the run."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over."""

    exit_code: int
    reason: str


Action = (
    Send
    | SendTask
    | OpenRound
    | SendStep
    | Fold
    | FoldLate
    | CloseRound
    | Rebuild
    | Notice
    | Finish
)
