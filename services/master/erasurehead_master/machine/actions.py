"""What the master's state machine wants done. Actions are data; their order matters.

Every action is whole: to carry it out, the machine need not be asked again.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from erasurehead.decoding.base import Decoding
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.records import Arrival, Late, Level
from erasurehead.wire.messages import Refusal, ToWorker
from erasurehead.wire.vectors.base import VectorFormat
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.supports import Support


class Send(Struct, frozen=True):
    """Send a control message to one peer."""

    peer: bytes
    message: ToWorker


class SendTask(Struct, frozen=True):
    """Send one chunk of the rows of a task to a peer that cannot read the store.

    Attributes
    ----------
    chunk, chunks: which of how many chunks of the task.
    rows: first and past-the-end training row of the chunk.
    """

    peer: bytes
    epoch: int
    task: int
    chunk: int
    chunks: int
    rows: tuple[int, int]


class Refused(Struct, frozen=True):
    """A message of this peer was refused and counted; a few of them are put up with."""

    peer: bytes
    reason: Refusal


class OpenRound(Struct, frozen=True):
    """Start a round: take the model to broadcast and forget what the last round folded in."""

    round: int


class SendStep(Struct, frozen=True):
    """Send the open round's model to peers, each on its support.

    Attributes
    ----------
    format: how the model travels.
    targets: (peer, support), in the order of sending. Equal supports are one object, so that one
        encoded model serves all of them.
    """

    round: int
    epoch: int
    format: VectorFormat
    targets: tuple[tuple[bytes, Support], ...]


class Fold(Struct, frozen=True):
    """Take an arrival into the gradient estimate.

    `weights` has one entry a vector: a number to fold it in with, 0.0 to drop it, None to keep it
    until the round closes.
    """

    vectors: Sequence[CodedVector]
    weights: tuple[float | None, ...]


class FoldLate(Struct, frozen=True):
    """Offer a result that is `age` rounds old to an estimate that remembers (a cache)."""

    vectors: Sequence[CodedVector]
    age: int


class CloseRound(Struct, frozen=True):
    """The round is over: decode, step, then tell the machine `Stepped`."""

    round: int
    reason: str
    decoding: Decoding
    arrivals: tuple[Arrival, ...]
    stragglers: tuple[int, ...]
    late: tuple[Late, ...]


class Evaluate(Struct, frozen=True):
    """Rate the model as this round has left it; its record is complete with the metrics."""

    round: int


class Rebuild(Struct, frozen=True):
    """The code is another one from the next round on; the model and its method stay.

    `keep_memory`: what the gradient estimate remembers holds under the new code, too.
    """

    plan: RunPlan
    keep_memory: bool = False


class Notice(Struct, frozen=True):
    """Tell the run's observers."""

    level: Level
    text: str


class Finish(Struct, frozen=True):
    """The run is over.

    Attributes
    ----------
    rounds: those that are done, also in earlier processes.
    refused: how many messages and connections were refused, by reason.
    """

    exit_code: int
    reason: str
    rounds: int
    refused: dict[Refusal, int]


Action = (
    Send
    | SendTask
    | Refused
    | OpenRound
    | SendStep
    | Fold
    | FoldLate
    | CloseRound
    | Evaluate
    | Rebuild
    | Notice
    | Finish
)
