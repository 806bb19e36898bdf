"""Messages to frames and back: the only place that touches bytes.

The first frame is a msgpack map: ``kind`` and the message's fields. An array is described there as
``[dtype, shape, where]``, where ``where`` is the raw bytes themselves (small arrays: one frame is
cheaper than two) or the number of the frame that holds them. Little-endian, C order, from a short
list of dtypes; nothing is ever unpickled, and nothing is allocated on a peer's word alone: byte
counts are compared with the shape before an array is made.

A packed vector is ``[format, n, dtype, where, dtype, where, ...]``: its arrays have one axis each,
so that their bytes say how long they are. Whether they make up `n` values of that format is not
asked here: that is for the state machines, which know the format of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from erasurehead.wire.messages import (
    ARRAY_FIELDS,
    MAX_VECTORS,
    PROTOCOL_VERSION,
    Axes,
    Message,
    ProtocolError,
    Refusal,
    check,
)
from erasurehead.wire.sizes import MAX_FRAME_BYTES, MAX_HEADER_BYTES
from erasurehead.wire.vectors.base import Packed

Buffer = bytes | memoryview

MAX_INLINE_BYTES = 16 * 1024
"""Arrays up to this size travel inside the header."""

MAX_ARRAYS = 8
"""That one packed vector may consist of."""
MAX_NAME = 64
"""Characters of the name of a vector format."""

DTYPES = {s: np.dtype(s) for s in ("<f8", "<f4", "<f2", "<i8", "<i4", "|i1", "|u1")}
_BY_DTYPE = {dtype: name for name, dtype in DTYPES.items()}


def encode(message: Message) -> list[Buffer]:
    """Return the frames of a message. Large arrays are passed on as views, not copied.

    The caller must not change such an array afterwards: the socket may still be reading it.

    Raises
    ------
    ValueError: a dtype that is not allowed, or a header over the limit (our own mistake).
    """
    header: dict[str, Any] = {"kind": message.kind, **msgspec.structs.asdict(message)}
    frames: list[Buffer] = [b""]
    room = MAX_INLINE_BYTES

    def placed(value: npt.NDArray[Any]) -> tuple[str, npt.NDArray[Any], memoryview | int]:
        """Return the dtype's name, the contiguous array, and its bytes or its frame's number."""
        nonlocal room
        array = np.ascontiguousarray(value)
        dtype = _BY_DTYPE.get(array.dtype)
        if dtype is None:
            raise ValueError(f"{message.kind} holds an array of {array.dtype}, which is never sent")
        if array.nbytes <= room:
            room -= array.nbytes
            return dtype, array, array.data
        frames.append(array.reshape(-1).view(np.uint8).data)
        return dtype, array, len(frames) - 1

    def vector(packed: Packed) -> list[Any]:
        described: list[Any] = [packed.format, packed.n]
        for value in packed.arrays:
            dtype, _, where = placed(value)
            described += (dtype, where)
        return described

    for name, form in ARRAY_FIELDS[type(message)].items():
        value = header[name]
        if value is None:
            continue
        if form == "vector":
            header[name] = vector(value)
        elif form == "vectors":
            header[name] = list(map(vector, value))
        else:
            dtype, array, where = placed(value)
            header[name] = (dtype, array.shape, where)
    packed = msgspec.msgpack.encode(header)
    if len(packed) > MAX_HEADER_BYTES:
        raise ValueError(f"header of {message.kind} has {len(packed)} bytes, over the limit")
    frames[0] = packed
    return frames


def decode(
    frames: Sequence[Buffer], known: Mapping[str, type], max_frame_bytes: int = MAX_FRAME_BYTES
) -> Any:
    """Return the message in `frames`; its arrays are read-only views of them.

    Parameters
    ----------
    known: kind -> class of the messages expected from that side (`TO_MASTER`, `TO_WORKER`).

    Raises
    ------
    ProtocolError: whatever is wrong with the bytes, with the reason it is counted under.
    """
    if not frames or not 0 < len(frames[0]) <= MAX_HEADER_BYTES:
        size = len(frames[0]) if frames else 0
        reason: Refusal = "too-large" if size > MAX_HEADER_BYTES else "malformed"
        raise ProtocolError(reason, f"a header of {size} bytes (1 to {MAX_HEADER_BYTES} allowed)")
    for frame in frames[1:]:
        if len(frame) > max_frame_bytes:
            raise ProtocolError("too-large", f"a frame of {len(frame)} bytes")
    try:
        # Never a streaming reader: after an error msgpack's hands out the rest of the message in
        # pieces (findings/msgpack-unpacker.sh).
        header = msgspec.msgpack.decode(frames[0])
    except Exception as error:  # msgspec's own tree, RecursionError, ...
        raise ProtocolError("malformed", f"a header that is not msgpack: {error!r:.80}") from None
    if not isinstance(header, dict):
        raise ProtocolError("malformed", "a header that is not a map")
    kind = header.pop("kind", None)
    cls = known.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ProtocolError("unknown-kind", f"a message of unknown kind {kind!r:.40}")
    if kind == "hello" and header.get("protocol") != PROTOCOL_VERSION:
        raise ProtocolError(
            "wrong-version",
            f"this master speaks protocol {PROTOCOL_VERSION}, the worker"
            f" {header.get('protocol')!r:.20}; install the same version of erasurehead on both",
            greeting=True,
        )
    unread = set(range(1, len(frames))) if len(frames) > 1 else set()
    for name, form in ARRAY_FIELDS[cls].items():
        described = header.get(name)
        if described is None:
            continue
        try:
            if form == "vector":
                header[name] = _vector(described, frames, unread)
            elif form == "vectors":
                header[name] = _vectors(described, frames, unread)
            else:
                header[name] = _array(described, form, frames, unread)
        except _UnlikeArraysError as error:
            raise ProtocolError("malformed", f"{kind}.{name}: {error}") from None
    if unread:
        sentence = f"{kind}: {len(unread)} frames that the header does not describe"
        raise ProtocolError("malformed", sentence, greeting=kind == "hello")
    return check(cls, header)


class _UnlikeArraysError(Exception):
    """A field does not describe arrays that came with the message."""


def _vectors(described: Any, frames: Sequence[Buffer], unread: set[int]) -> tuple[Packed, ...]:
    if type(described) is not list or len(described) > MAX_VECTORS:
        raise _UnlikeArraysError(f"not a list of at most {MAX_VECTORS} vectors")
    return tuple(map(_vector, described, repeat(frames), repeat(unread)))


def _vector(described: Any, frames: Sequence[Buffer], unread: set[int]) -> Packed:
    if type(described) is not list or len(described) % 2 or len(described) < 2:
        raise _UnlikeArraysError("not a format and a count, then pairs of dtype and place")
    format, n = described[:2]
    if type(format) is not str or not 0 < len(format) <= MAX_NAME or not format.isprintable():
        raise _UnlikeArraysError(f"{format!r:.20} names no vector format")
    if type(n) is not int or n < 0:
        raise _UnlikeArraysError("a vector has a count of values")
    if len(described) > 2 + 2 * MAX_ARRAYS:
        raise _UnlikeArraysError(f"more than {MAX_ARRAYS} arrays for a vector")
    made = []
    for i in range(2, len(described), 2):
        dtype = _dtype(described[i])
        raw = _bytes(described[i + 1], frames, unread)
        if len(raw) % dtype.itemsize:
            raise _UnlikeArraysError(f"{len(raw)} bytes came for numbers of {dtype.itemsize} bytes")
        made.append(np.frombuffer(raw, dtype))
    return Packed(format, n, tuple(made))


def _array(
    described: Any, axes: Axes, frames: Sequence[Buffer], unread: set[int]
) -> npt.NDArray[Any]:
    if type(described) is not list or len(described) != 3:
        raise _UnlikeArraysError("not an array descriptor")
    dtype = _dtype(described[0])
    if dtype not in axes.dtypes:
        raise _UnlikeArraysError(f"an array of {dtype.str} is not expected")
    shape = described[1]
    if type(shape) is not list or len(shape) != axes.n_axes:
        raise _UnlikeArraysError(f"its shape is a list of {axes.n_axes} counts")
    expected = dtype.itemsize
    for count in shape:
        if type(count) is not int or count < 0:
            raise _UnlikeArraysError(f"its shape is a list of {axes.n_axes} counts")
        expected *= count
    raw = _bytes(described[2], frames, unread)
    if len(raw) != expected:
        raise _UnlikeArraysError(f"{len(raw)} bytes came where its shape needs {expected:.6g}")
    array = np.frombuffer(raw, dtype)
    return array if len(shape) == 1 else array.reshape(shape)


def _dtype(name: Any) -> np.dtype[Any]:
    dtype = DTYPES.get(name) if type(name) is str else None
    if dtype is None:
        raise _UnlikeArraysError(f"dtype {name!r:.20} is not allowed")
    return dtype


def _bytes(where: Any, frames: Sequence[Buffer], unread: set[int]) -> Buffer:
    """Return the bytes of an array: they stand here, or in the frame of this number."""
    if type(where) is bytes:
        return where
    if type(where) is int and where in unread:
        unread.discard(where)
        return frames[where]
    raise _UnlikeArraysError("its frame is missing")
