"""The protocol: every message that master and workers exchange, and nothing else.

A worker greets with `Hello` and is told its place by `Assign` (or `Refuse`); it asks for rows it
cannot read itself with `NeedTask`, gets them as `Task` chunks, and says `Ready` with the
parameters its rows need. From then on each round is one `Step` down and one `Result` a part up.
`Heartbeat` goes both ways when nothing else does; `Register` asks a stranger to greet again;
`Drain` and `Handover` announce an end, of a worker and of a master that a successor follows; `Stop`
and `Goodbye` end things politely. docs/protocol.md is the table of all of this.

Numbers are checked here once, so the state machines may trust what they are handed.
"""

from __future__ import annotations

import sys
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    get_args,
    get_type_hints,
)

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from erasurehead.errors import ErasureHeadError
from erasurehead.wire.vectors.base import Packed

PROTOCOL_VERSION = 5
"""Raised whenever an old peer could misread a new message."""

_LARGEST = sys.float_info.max

Count = Annotated[int, Meta(ge=0, lt=2**53)]
Seconds = Annotated[float, Meta(ge=0.0, le=_LARGEST)]
Number = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
_ONE_LINE = "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*\\Z"
"""No control characters: a peer's words go into logs and terminals."""
Label = Annotated[str, Meta(min_length=1, max_length=256, pattern=_ONE_LINE)]
Text = Annotated[str, Meta(max_length=4096, pattern=_ONE_LINE)]


Refusal = Literal[
    "malformed",
    "too-large",
    "unknown-kind",
    "wrong-version",
    "unknown-peer",
    "wrong-slot",
    "wrong-shape",
    "wrong-format",
    "non-finite",
    "duplicate",
    "set-aside",
    "too-many-members",
    "over-norm",
    "impossible-loss",
    "rate-limited",
    "revoked-key",
    "handshake-key",
    "handshake-failed",
    "too-many-connections",
    "endless-message",
]
"""Why a message, or a connection, is refused."""

REFUSALS: tuple[Refusal, ...] = get_args(Refusal)
"""Every reason; the label set of the counter."""

if TYPE_CHECKING:
    RefuseCode = Refusal
    """A REFUSE names the reason that the greeting is counted under."""

    StopCode = Literal["finished", "diverged", "abandoned", "replaced", "set-aside", "wrong-data"]
    """Why a worker is told to leave: the run is over (the first three), or goes on without it."""
else:
    # Codes are checked as labels only: a master of a later version may have others, and its worker
    # must understand that it is to leave all the same.
    RefuseCode = StopCode = Label


class ProtocolError(ErasureHeadError):
    """The peer sent something that is not the protocol: counted by ``reason``, never fatal.

    Attributes
    ----------
    reason: the label it is counted under.
    greeting: it was meant as a HELLO, so its sender waits for an answer.
    """

    def __init__(self, reason: Refusal, sentence: str, *, greeting: bool = False) -> None:
        super().__init__(sentence)
        self.reason: Refusal = reason
        self.greeting = greeting


_FLOATS = (np.dtype("<f8"), np.dtype("<f4"))
_INTEGERS = (np.dtype("<i8"), np.dtype("<i4"))


class Axes(NamedTuple):
    """What a field that holds an array takes: its dtypes, and how many axes."""

    dtypes: tuple[np.dtype[Any], ...]
    n_axes: int


Array = npt.NDArray[Any]
Floats = Annotated[Array, Axes(_FLOATS, 1)]
Coefficients = Annotated[Array, Axes(_FLOATS, 3)]
Indices = Annotated[Array, Axes(_INTEGERS, 1)]
Ranges = Annotated[Array, Axes(_INTEGERS, 2)]

MAX_VECTORS = 16
"""In one message."""


class Hello(Struct, frozen=True, forbid_unknown_fields=True):
    """Worker to master: name and wishes. Idempotent; answered by `Assign` or `Refuse`."""

    kind: ClassVar = "hello"
    protocol: Count
    name: Label
    version: Text
    host: Text
    slot: Count | None = None
    """The slot this worker is meant for (a StatefulSet's ordinal); it displaces another holder."""
    held: Count | None = None
    """The slot whose rows it has; a wish only, so that a blip costs no reloading."""
    cached: Text | None = None
    """Digest of a store this worker can read without help."""
    cpu_limit: Number | None = None


class Assign(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to worker: your slot, your share of the code and where the rows are."""

    kind: ClassVar = "assign"
    run: Label
    epoch: Count
    """Version of the code; grows when the code is rebuilt. `Ready`, `Step`, `Result` repeat it."""
    slot: Count
    n_slots: Count
    columns: Count
    """Of the store."""
    n_parameters: Count
    """Of the model, which has as many values where a slot needs them all."""
    tasks: Indices
    """Ids of the tasks this slot holds, shape (c,)."""
    row_ranges: Ranges
    """First and past-the-end training row of each of these tasks, shape (c, 2)."""
    coefficients: Coefficients
    """Shape (parts, vectors, c): how the tasks enter each vector of each part of a result."""
    model: Text
    """A name of `MODELS`, perhaps with options: what to compute a gradient of."""
    store: Text | None
    """Where the store may be read; None means: ask me for the rows."""
    digest: Label
    batch: Number
    """Share of the rows of each task that count in a round; 1: all of them."""
    batch_seed: Count
    """With the round, it says which rows these are."""
    vector_format: Label
    """How models and gradients travel: a name of `FORMATS`, perhaps with options."""
    differences: Label | None
    """How a model travels as what is to be added to that of the round before, on the same support;
    whole ones are in `f8` then. None: models are always whole."""
    delay: Text
    delay_seed: Count
    load_share: Number
    delay_shares: Floats
    """How much of a round's delay is waited out before each part of a result, shape (parts,)."""
    heartbeat_interval_s: Seconds
    silence_limit_s: Seconds
    dense_share: Number
    """A support above this share of all columns is declared dense."""
    max_frame_bytes: Count
    """The largest frame that the master accepts."""


class NeedTask(Struct, frozen=True, forbid_unknown_fields=True):
    """Worker to master: send me this chunk of the rows of this task."""

    kind: ClassVar = "need-task"
    epoch: Count
    task: Count
    chunk: Count


class Task(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to worker: one of `chunks` pieces of a task's rows, as CSR arrays."""

    kind: ClassVar = "task"
    epoch: Count
    task: Count
    chunk: Count
    chunks: Count
    indptr: Indices
    indices: Indices
    labels: Floats
    values: Floats | None = None
    weights: Floats | None = None
    offsets: Floats | None = None


class Ready(Struct, frozen=True, forbid_unknown_fields=True):
    """Worker to master: my rows are loaded; these are the parameters they need (None: all)."""

    kind: ClassVar = "ready"
    epoch: Count
    slot: Count
    rows: Count
    digest: Label
    support: Indices | None = None


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to worker: round `round` is open; the model on your support.

    It is the whole model, or what to add to that of the round before (`Assign.differences`).
    """

    kind: ClassVar = "step"
    epoch: Count
    round: Count
    model: Packed


class Result(Struct, frozen=True, forbid_unknown_fields=True):
    """Worker to master: one part of the coded gradient of a round, on the worker's support."""

    kind: ClassVar = "result"
    epoch: Count
    round: Count
    slot: Count
    part: Count
    vectors: Annotated[tuple[Packed, ...], Meta(min_length=1, max_length=MAX_VECTORS)]
    loss: Annotated[list[float], Meta(max_length=MAX_VECTORS)]
    """Coded loss sums, one a vector. They may be NaN or infinite: whether that is acceptable is not
    a question of form."""
    compute_s: Seconds
    delay_s: Seconds


class Heartbeat(Struct, frozen=True, forbid_unknown_fields=True):
    """Either way, when nothing else was sent for a while: I am alive, at work on this round.

    A worker without work says 0. Ordered after its results, this tells the master of lost ones.
    """

    kind: ClassVar = "heartbeat"
    round: Count
    load_average: Number


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to a peer it does not know: greet me again."""

    kind: ClassVar = "register"


class Refuse(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to worker: you cannot take part, and why. The worker exits. Same in every version."""

    kind: ClassVar = "refuse"
    code: RefuseCode
    reason: Text


class Stop(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to worker: leave now. ``finished`` and ``replaced`` are ordinary endings."""

    kind: ClassVar = "stop"
    code: StopCode
    reason: Text


class Handover(Struct, frozen=True, forbid_unknown_fields=True):
    """Master to worker: I leave, and a successor goes on with the run: keep your rows and wait."""

    kind: ClassVar = "handover"
    reason: Text


class Drain(Struct, frozen=True, forbid_unknown_fields=True):
    """Worker to master: I leave within so many seconds; give me no more work.

    The result of the round at hand may still come; `Goodbye` says that nothing will.
    """

    kind: ClassVar = "drain"
    within_s: Seconds
    reason: Text


class Goodbye(Struct, frozen=True, forbid_unknown_fields=True):
    """Worker to master: I leave; my slot is free."""

    kind: ClassVar = "goodbye"
    reason: Text


ToMaster = Hello | NeedTask | Ready | Result | Heartbeat | Drain | Goodbye
ToWorker = Assign | Task | Step | Heartbeat | Register | Refuse | Handover | Stop
Message = ToMaster | ToWorker

TO_MASTER: dict[str, type] = {m.kind: m for m in get_args(ToMaster)}
TO_WORKER: dict[str, type] = {m.kind: m for m in get_args(ToWorker)}

Form = Axes | Literal["vector", "vectors"]
"""How a field travels beside the header: a numpy array, a `Packed`, or several of these."""


def _form(hint: Any) -> Form | None:
    for part in (hint, *get_args(hint)):
        axes = [note for note in getattr(part, "__metadata__", ()) if isinstance(note, Axes)]
        if axes:
            return axes[0]
    if hint is Packed:
        return "vector"
    return "vectors" if tuple[Packed, ...] in get_args(hint) else None


ARRAY_FIELDS: dict[type, dict[str, Form]] = {
    cls: {
        name: form
        for name, hint in get_type_hints(cls, include_extras=True).items()
        if (form := _form(hint))
    }
    for cls in (*TO_MASTER.values(), *TO_WORKER.values())
}
"""Per message, the fields that hold arrays."""


def check(cls: type, fields: dict[str, Any]) -> Any:
    """Return a `cls` made of `fields`.

    Raises
    ------
    ProtocolError: an unknown or missing key, a value of the wrong type or out of range.
    """
    try:
        return msgspec.convert(fields, cls)
    except msgspec.ValidationError as error:
        kind = cls.kind  # type: ignore[attr-defined]
        # It may hold a peer's own words, where a key is unknown: escaped, and not for long.
        sentence = f"{kind}: {repr(str(error))[1:-1]:.150}"
        reason: Refusal = "malformed"
        if cls is Hello and not _REQUIRED <= fields.keys() <= _KNOWN:
            reason, sentence = "wrong-version", _other_build(fields, sentence)
        raise ProtocolError(reason, sentence, greeting=cls is Hello) from None


_KNOWN = frozenset(Hello.__struct_fields__)
_REQUIRED = _KNOWN - set(Hello.__struct_fields__[-len(Hello.__struct_defaults__) :])
"""Keys of a HELLO. One that was built from another source has others, whatever its number."""


def _other_build(fields: dict[str, Any], what: str) -> str:
    theirs = repr(str(fields.get("version", "unknown"))[:40])[1:-1]
    return (
        f"this master speaks protocol {PROTOCOL_VERSION} and cannot read the greeting of the"
        f" worker's erasurehead {theirs}, which says it speaks protocol"
        f" {fields.get('protocol')!r:.20} too ({what}); install the same version of erasurehead on"
        " both"
    )
