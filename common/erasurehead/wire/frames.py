"""Messages to frames and back: the only place that touches bytes.

The first frame is a msgpack map: ``kind`` and the message's fields. An array is described there as
``[dtype, shape, where]``, where ``where`` is the raw bytes themselves (small arrays: one frame is
cheaper than two) or the number of the frame that holds them. Little-endian, C order, from a short
list of dtypes; nothing is ever unpickled, and nothing is allocated on a peer's word alone: byte
counts are compared with the shape before an array is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from erasurehead.wire.messages import (
    ARRAY_FIELDS,
    PROTOCOL_VERSION,
    Message,
    ProtocolError,
    Refusal,
    check,
)

Buffer = bytes | memoryview

MAX_HEADER_BYTES = 64 * 1024
MAX_INLINE_BYTES = 16 * 1024
"""Arrays up to this size travel inside the header."""
MAX_AXES = 3

DTYPES = {s: np.dtype(s) for s in ("<f8", "<f4", "<i8", "<i4", "|u1")}
_BY_DTYPE = {dtype: name for name, dtype in DTYPES.items()}


def encode(message: Message) -> list[Buffer]:
    """Return the frames of a message. Large arrays are passed on as views, not copied.

    The caller must not change such an array afterwards: the socket may still be reading it.

    Raises
    ------
    ValueError: a dtype that is not allowed, or a header over the limit (our own mistake).
    """
    cls = type(message)
    header: dict[str, Any] = {"kind": message.kind}
    frames: list[Buffer] = [b""]
    arrays = ARRAY_FIELDS[cls]
    room = MAX_INLINE_BYTES
    for name in cls.__slots__:
        value = getattr(message, name)
        if name in arrays and value is not None:
            array = np.ascontiguousarray(value)
            dtype = _BY_DTYPE.get(array.dtype)
            if dtype is None:
                raise ValueError(f"{message.kind}.{name} is {array.dtype}, which is never sent")
            if array.nbytes <= room:
                room -= array.nbytes
                header[name] = (dtype, array.shape, array.tobytes())
            else:
                header[name] = (dtype, array.shape, len(frames))
                frames.append(array.reshape(-1).view(np.uint8).data)
        else:
            header[name] = value
    packed = msgpack.packb(header)
    if len(packed) > MAX_HEADER_BYTES:
        raise ValueError(f"header of {message.kind} has {len(packed)} bytes, over the limit")
    frames[0] = packed
    return frames


def decode(
    frames: Sequence[Buffer], known: Mapping[str, type], max_frame_bytes: int = 2**31
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
        header = msgpack.unpackb(frames[0])
    except Exception as error:  # msgpack's own tree, UnicodeDecodeError, RecursionError, ...
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
    unread = set(range(1, len(frames)))
    for name in ARRAY_FIELDS[cls]:
        described = header.get(name)
        if described is not None:
            header[name] = _array(kind, name, described, frames, unread)
    if unread:
        sentence = f"{kind}: {len(unread)} frames nobody described"
        raise ProtocolError("malformed", sentence, greeting=kind == "hello")
    return check(cls, header)


def _array(
    kind: str, name: str, described: Any, frames: Sequence[Buffer], unread: set[int]
) -> npt.NDArray[Any]:
    """Make the array that a descriptor in the header stands for."""
    if type(described) is not list or len(described) != 3:
        raise _refused(kind, name, "not an array descriptor")
    dtype_name, shape, where = described
    dtype = DTYPES.get(dtype_name) if type(dtype_name) is str else None
    if dtype is None:
        raise _refused(kind, name, f"dtype {dtype_name!r:.20} is not allowed")
    if type(shape) is not list or len(shape) > MAX_AXES:
        raise _refused(kind, name, "a shape is a list of at most three counts")
    expected = dtype.itemsize
    for count in shape:
        if type(count) is not int or count < 0:
            raise _refused(kind, name, "a shape is a list of at most three counts")
        expected *= count
    if type(where) is bytes:
        raw: Buffer = where
    elif type(where) is int and where in unread:
        unread.discard(where)
        raw = frames[where]
    else:
        raise _refused(kind, name, "its frame is missing")
    if len(raw) != expected:
        why = f"{len(raw)} bytes came where its shape needs {expected:.6g}"
        raise _refused(kind, name, why)
    array = np.frombuffer(raw, dtype)
    return array if len(shape) == 1 else array.reshape(shape)


def _refused(kind: str, name: str, why: str) -> ProtocolError:
    return ProtocolError("malformed", f"{kind}.{name}: {why}")
