"""Messages to frames and back: the only place that touches bytes.

The first frame is a msgpack map: ``kind`` and the message's fields. An array is described there as
``[dtype, shape, where]``, where ``where`` is the raw bytes themselves (small arrays: one frame is
cheaper than two) or the number of the frame that holds them. Little-endian, C order, from a short
list of dtypes; nothing is ever unpickled, and nothing is allocated on a peer's word alone: byte
counts are compared with the shape before an array is made.

A packed vector is ``[format, n, arrays]``. Whether its arrays make up `n` values of that format is
not asked here: that is for the state machines, which know the format of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from erasurehead.wire.messages import (
    ARRAY_FIELDS,
    MAX_VECTORS,
    PROTOCOL_VERSION,
    Form,
    Message,
    ProtocolError,
    Refusal,
    check,
)
from erasurehead.wire.vectors.base import Packed

Buffer = bytes | memoryview

MAX_HEADER_BYTES = 64 * 1024
MAX_INLINE_BYTES = 16 * 1024
"""Arrays up to this size travel inside the header."""
MAX_AXES = 3

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
    cls = type(message)
    header: dict[str, Any] = {"kind": message.kind}
    forms = ARRAY_FIELDS[cls]
    outgoing = _Outgoing(message.kind)
    for name in cls.__slots__:
        value = getattr(message, name)
        form = forms.get(name)
        if form is not None and value is not None:
            value = outgoing.describe(name, form, value)
        header[name] = value
    frames = outgoing.frames
    packed = msgpack.packb(header)
    if len(packed) > MAX_HEADER_BYTES:
        raise ValueError(f"header of {message.kind} has {len(packed)} bytes, over the limit")
    frames[0] = packed
    return frames


class _Outgoing:
    """Describes arrays for the header, and collects the frames of those that do not fit into it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.frames: list[Buffer] = [b""]
        self._room = MAX_INLINE_BYTES

    def describe(self, name: str, form: Form, value: Any) -> Any:
        """Return what stands in the header for the field `name`."""
        if form == "array":
            return self._array(name, value)
        if form == "vector":
            return self._vector(name, value)
        return [self._vector(name, vector) for vector in value]

    def _vector(self, name: str, vector: Packed) -> tuple[Any, ...]:
        return vector.format, vector.n, [self._array(name, array) for array in vector.arrays]

    def _array(self, name: str, value: npt.NDArray[Any]) -> tuple[Any, ...]:
        array = np.ascontiguousarray(value)
        dtype = _BY_DTYPE.get(array.dtype)
        if dtype is None:
            raise ValueError(f"{self._kind}.{name} is {array.dtype}, which is never sent")
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            return dtype, array.shape, array.tobytes()
        self.frames.append(array.reshape(-1).view(np.uint8).data)
        return dtype, array.shape, len(self.frames) - 1


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
    incoming = _Incoming(kind, frames)
    for name, form in ARRAY_FIELDS[cls].items():
        described = header.get(name)
        if described is not None:
            header[name] = incoming.read(name, form, described)
    if incoming.unread:
        sentence = f"{kind}: {len(incoming.unread)} frames that the header does not describe"
        raise ProtocolError("malformed", sentence, greeting=kind == "hello")
    return check(cls, header)


class _Incoming:
    """Makes the arrays that descriptors in the header of a message stand for."""

    def __init__(self, kind: str, frames: Sequence[Buffer]) -> None:
        self._kind = kind
        self._frames = frames
        self.unread = set(range(1, len(frames)))

    def read(self, name: str, form: Form, described: Any) -> Any:
        """Return the value of the field `name`."""
        if form == "array":
            return self._array(name, described)
        if form == "vector":
            return self._vector(name, described)
        if type(described) is not list or len(described) > MAX_VECTORS:
            raise self._refused(name, f"not a list of at most {MAX_VECTORS} vectors")
        return tuple([self._vector(name, vector) for vector in described])

    def _vector(self, name: str, described: Any) -> Packed:
        if type(described) is not list or len(described) != 3:
            raise self._refused(name, "not a vector")
        format, n, arrays = described
        if type(format) is not str or not 0 < len(format) <= MAX_NAME or not format.isprintable():
            raise self._refused(name, f"{format!r:.20} names no vector format")
        if type(n) is not int or n < 0:
            raise self._refused(name, "a vector has a count of values")
        if type(arrays) is not list or len(arrays) > MAX_ARRAYS:
            raise self._refused(name, f"not a list of at most {MAX_ARRAYS} arrays")
        made = tuple([self._array(name, array) for array in arrays])
        if any(array.ndim != 1 for array in made):
            raise self._refused(name, "an array of a vector has one axis")
        return Packed(format, n, made)

    def _array(self, name: str, described: Any) -> npt.NDArray[Any]:
        if type(described) is not list or len(described) != 3:
            raise self._refused(name, "not an array descriptor")
        dtype_name, shape, where = described
        dtype = DTYPES.get(dtype_name) if type(dtype_name) is str else None
        if dtype is None:
            raise self._refused(name, f"dtype {dtype_name!r:.20} is not allowed")
        if type(shape) is not list or len(shape) > MAX_AXES:
            raise self._refused(name, "a shape is a list of at most three counts")
        expected = dtype.itemsize
        for count in shape:
            if type(count) is not int or count < 0:
                raise self._refused(name, "a shape is a list of at most three counts")
            expected *= count
        if type(where) is bytes:
            raw: Buffer = where
        elif type(where) is int and where in self.unread:
            self.unread.discard(where)
            raw = self._frames[where]
        else:
            raise self._refused(name, "its frame is missing")
        if len(raw) != expected:
            why = f"{len(raw)} bytes came where its shape needs {expected:.6g}"
            raise self._refused(name, why)
        array = np.frombuffer(raw, dtype)
        return array if len(shape) == 1 else array.reshape(shape)

    def _refused(self, name: str, why: str) -> ProtocolError:
        return ProtocolError("malformed", f"{self._kind}.{name}: {why}")
