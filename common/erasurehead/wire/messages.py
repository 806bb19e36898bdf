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

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)

from erasurehead.errors import ErasureHeadError
from erasurehead.wire.vectors.base import Packed

PROTOCOL_VERSION = 3
"""Raised whenever an old peer could misread a new message."""

_CHECKS = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
Seconds = Annotated[float, Field(strict=True, ge=0.0, allow_inf_nan=False)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
AnyNumber = Annotated[float, Field(strict=True)]
"""May be NaN or infinite: whether that is acceptable is not a question of form."""
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u{2028}\u{2029}]*$"
"""No control characters: a peer's words go into logs and terminals."""
Label = Annotated[str, Field(strict=True, min_length=1, max_length=256, pattern=_ONE_LINE)]
Text = Annotated[str, Field(strict=True, max_length=4096, pattern=_ONE_LINE)]

_ANY_LABEL = PlainValidator(TypeAdapter(Label).validate_python)
"""Codes are checked as labels only: a master of a later version may have others, and its worker
must understand that it is to leave all the same."""


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

RefuseCode = Annotated[Refusal, _ANY_LABEL]
"""A REFUSE names the reason that the greeting is counted under."""

StopCode = Annotated[
    Literal["finished", "diverged", "abandoned", "replaced", "set-aside", "wrong-data"], _ANY_LABEL
]
"""Why a worker is told to leave: the run is over (the first three), or goes on without it."""


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


def _array(dtypes: tuple[np.dtype[Any], ...], ndim: int) -> AfterValidator:
    def check(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if array.dtype not in dtypes or array.ndim != ndim:
            raise ValueError(f"array of {array.dtype.str} with {array.ndim} axes is not expected")
        return array

    return AfterValidator(check)


Floats = Annotated[npt.NDArray[Any], _array(_FLOATS, 1)]
Coefficients = Annotated[npt.NDArray[Any], _array(_FLOATS, 3)]
Indices = Annotated[npt.NDArray[Any], _array(_INTEGERS, 1)]
Ranges = Annotated[npt.NDArray[Any], _array(_INTEGERS, 2)]

MAX_VECTORS = 16
"""In one message."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Worker to master: name and wishes. Idempotent; answered by `Assign` or `Refuse`."""

    kind: ClassVar = "hello"
    __pydantic_config__ = _CHECKS
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


@dataclass(frozen=True, slots=True)
class Assign:
    """Master to worker: your slot, your share of the code and where the rows are."""

    kind: ClassVar = "assign"
    __pydantic_config__ = _CHECKS
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
    vector_format: Label
    """How models and gradients travel: a name of `FORMATS`, perhaps with options."""
    delay: Text
    delay_seed: Count
    load_share: Number
    heartbeat_interval_s: Seconds
    silence_limit_s: Seconds
    dense_share: Number
    """A support above this share of all columns is declared dense."""
    max_frame_bytes: Count
    """The largest frame that the master accepts."""


@dataclass(frozen=True, slots=True)
class NeedTask:
    """Worker to master: send me this chunk of the rows of this task."""

    kind: ClassVar = "need-task"
    __pydantic_config__ = _CHECKS
    epoch: Count
    task: Count
    chunk: Count


@dataclass(frozen=True, slots=True)
class Task:
    """Master to worker: one of `chunks` pieces of a task's rows, as CSR arrays."""

    kind: ClassVar = "task"
    __pydantic_config__ = _CHECKS
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


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker to master: my rows are loaded; these are the parameters they need (None: all)."""

    kind: ClassVar = "ready"
    __pydantic_config__ = _CHECKS
    epoch: Count
    slot: Count
    rows: Count
    digest: Label
    support: Indices | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Master to worker: round `round` is open; the model on your support."""

    kind: ClassVar = "step"
    __pydantic_config__ = _CHECKS
    epoch: Count
    round: Count
    model: InstanceOf[Packed]


@dataclass(frozen=True, slots=True)
class Result:
    """Worker to master: one part of the coded gradient of a round, on the worker's support."""

    kind: ClassVar = "result"
    __pydantic_config__ = _CHECKS
    epoch: Count
    round: Count
    slot: Count
    part: Count
    vectors: Annotated[
        tuple[InstanceOf[Packed], ...], Field(strict=True, min_length=1, max_length=MAX_VECTORS)
    ]
    loss: Annotated[list[AnyNumber], Field(strict=True, max_length=MAX_VECTORS)]
    """Coded loss sums, one a vector."""
    compute_s: Seconds
    delay_s: Seconds


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Either way, when nothing else was sent for a while: I am alive, at work on this round.

    A worker without work says 0. Ordered after its results, this tells the master of lost ones.
    """

    kind: ClassVar = "heartbeat"
    __pydantic_config__ = _CHECKS
    round: Count
    load_average: Number


@dataclass(frozen=True, slots=True)
class Register:
    """Master to a peer it does not know: greet me again."""

    kind: ClassVar = "register"
    __pydantic_config__ = _CHECKS


@dataclass(frozen=True, slots=True)
class Refuse:
    """Master to worker: you cannot take part, and why. The worker exits. Same in every version."""

    kind: ClassVar = "refuse"
    __pydantic_config__ = _CHECKS
    code: RefuseCode
    reason: Text


@dataclass(frozen=True, slots=True)
class Stop:
    """Master to worker: leave now. ``finished`` and ``replaced`` are ordinary endings."""

    kind: ClassVar = "stop"
    __pydantic_config__ = _CHECKS
    code: StopCode
    reason: Text


@dataclass(frozen=True, slots=True)
class Handover:
    """Master to worker: I leave, and a successor goes on with the run: keep your rows and wait."""

    kind: ClassVar = "handover"
    __pydantic_config__ = _CHECKS
    reason: Text


@dataclass(frozen=True, slots=True)
class Drain:
    """Worker to master: I leave within so many seconds; give me no more work.

    The result of the round at hand may still come; `Goodbye` says that nothing will.
    """

    kind: ClassVar = "drain"
    __pydantic_config__ = _CHECKS
    within_s: Seconds
    reason: Text


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Worker to master: I leave; my slot is free."""

    kind: ClassVar = "goodbye"
    __pydantic_config__ = _CHECKS
    reason: Text


ToMaster = Hello | NeedTask | Ready | Result | Heartbeat | Drain | Goodbye
ToWorker = Assign | Task | Step | Heartbeat | Register | Refuse | Handover | Stop
Message = ToMaster | ToWorker

TO_MASTER: dict[str, type] = {m.kind: m for m in get_args(ToMaster)}
TO_WORKER: dict[str, type] = {m.kind: m for m in get_args(ToWorker)}

# The validators themselves: a TypeAdapter takes a third of a microsecond a message around its own.
_VALIDATORS: dict[type, Any] = {
    cls: TypeAdapter(cls).validator for cls in (*TO_MASTER.values(), *TO_WORKER.values())
}


Form = Literal["array", "vector", "vectors"]
"""How a field travels beside the header: a numpy array, a `Packed`, or several of these."""


def _form(hint: Any) -> Form | None:
    if hint is Packed:
        return "vector"
    if hint == tuple[Packed, ...]:
        return "vectors"
    if np.ndarray in (get_origin(hint), *map(get_origin, get_args(hint))):
        return "array"
    return None


ARRAY_FIELDS: dict[type, dict[str, Form]] = {
    cls: {name: form for name, hint in get_type_hints(cls).items() if (form := _form(hint))}
    for cls in _VALIDATORS
}
"""Per message, the fields that hold arrays."""


def check(cls: type, fields: dict[str, Any]) -> Any:
    """Return a `cls` made of `fields`.

    Raises
    ------
    ProtocolError: an unknown or missing key, a value of the wrong type or out of range.
    """
    try:
        return _VALIDATORS[cls].validate_python(fields)
    except ValidationError as error:
        kind = cls.kind  # type: ignore[attr-defined]
        every = error.errors()
        details = every[0]
        # The path may be a peer's own words, where a key is unknown: escaped, and not for long.
        where = ".".join(repr(str(p)[:40])[1:-1] for p in details["loc"][:3])
        sentence = f"{kind}: {where}: {details['msg']!s:.200}"
        reason: Refusal = "malformed"
        if cls is Hello and any(d["type"] in _OTHER_KEYS for d in every):
            reason, sentence = "wrong-version", _other_build(fields, sentence)
        raise ProtocolError(reason, sentence, greeting=cls is Hello) from None


_OTHER_KEYS = ("unexpected_keyword_argument", "missing")
"""What pydantic says of a HELLO that was built from another source, whatever its number."""


def _other_build(fields: dict[str, Any], what: str) -> str:
    theirs = repr(str(fields.get("version", "unknown"))[:40])[1:-1]
    return (
        f"this master speaks protocol {PROTOCOL_VERSION} and cannot read the greeting of the"
        f" worker's erasurehead {theirs}, which says it speaks protocol"
        f" {fields.get('protocol')!r:.20} too ({what}); install the same version of erasurehead on"
        " both"
    )
