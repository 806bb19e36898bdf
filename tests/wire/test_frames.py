"""Messages survive the wire, and bytes that are not the protocol are refused by reason."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from import_graph import modules

from erasurehead.wire.frames import (
    DTYPES,
    MAX_ARRAYS,
    MAX_INLINE_BYTES,
    MAX_NAME,
    decode,
    encode,
)
from erasurehead.wire.messages import (
    MAX_VECTORS,
    PROTOCOL_VERSION,
    REFUSALS,
    TO_MASTER,
    TO_WORKER,
    Goodbye,
    Heartbeat,
    ProtocolError,
    Ready,
    Result,
    Step,
)
from erasurehead.wire.sizes import MAX_HEADER_BYTES
from erasurehead.wire.vectors.base import Packed
from erasurehead.wire.vectors.f8 import F8
from tests.support.example_messages import KNOWN, comparable, messages, packed


@pytest.mark.parametrize("kind", sorted(KNOWN))
@pytest.mark.parametrize("values", [1, 5, 5000])
def test_every_kind_survives_the_wire(kind: str, values: int) -> None:
    message = messages(values)[kind]
    back = decode([bytes(f) for f in encode(message)], KNOWN)
    assert comparable(back) == comparable(message)


def test_there_is_an_example_of_every_kind() -> None:
    assert set(messages(1)) == set(KNOWN)


def test_small_arrays_share_the_header_and_large_ones_are_not_copied() -> None:
    small = encode(Step(0, 1, packed(np.zeros(MAX_INLINE_BYTES // 8))))
    values = np.zeros(MAX_INLINE_BYTES // 8 + 1)
    large = encode(Step(0, 1, packed(values)))
    assert len(small) == 1
    assert len(large) == 2
    assert np.shares_memory(np.frombuffer(large[1]), values)
    decoded = decode(large, TO_WORKER)
    assert np.shares_memory(decoded.model.arrays[0], values)
    assert np.shares_memory(F8().unpack(decoded.model), values)


def test_golden_bytes() -> None:
    """The format is part of the protocol: a change of these bytes needs a new version."""
    assert encode(Heartbeat(7, 0.5)) == [
        b"\x83\xa4kind\xa9heartbeat\xa5round\x07\xacload_average\xcb?\xe0\0\0\0\0\0\0"
    ]
    assert encode(Step(1, 2, packed([1.0], "f4"))) == [
        b"\x84\xa4kind\xa4step\xa5epoch\x01\xa5round\x02"
        b"\xa5model\x94\xa2f4\x01\xa3<f4\xc4\x04\0\0\x80?"
    ]
    assert encode(Result(1, 2, 3, 0, (packed([1.0]), packed([2.0])), [0.0, 0.0], 0.5, 0.0)) == [
        b"\x89\xa4kind\xa6result\xa5epoch\x01\xa5round\x02\xa4slot\x03\xa4part\0"
        b"\xa7vectors\x92"
        b"\x94\xa2f8\x01\xa3<f8\xc4\x08\0\0\0\0\0\0\xf0?"
        b"\x94\xa2f8\x01\xa3<f8\xc4\x08\0\0\0\0\0\0\0@"
        b"\xa4loss\x92\xcb\0\0\0\0\0\0\0\0\xcb\0\0\0\0\0\0\0\0"
        b"\xa9compute_s\xcb?\xe0\0\0\0\0\0\0\xa7delay_s\xcb\0\0\0\0\0\0\0\0"
    ]
    assert encode(Ready(0, 1, 9, "abc", np.array([5], dtype="<i4"))) == [
        b"\x86\xa4kind\xa5ready\xa5epoch\0\xa4slot\x01\xa4rows\t\xa6digest\xa3abc"
        b"\xa7support\x93\xa3<i4\x91\x01\xc4\x04\x05\0\0\0"
    ]


@given(
    vectors=st.lists(
        st.builds(
            lambda format, n, arrays: Packed(format, n, tuple(arrays)),
            st.text(
                st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=64
            ),
            st.integers(0, 2**63),
            st.lists(
                hnp.arrays(
                    dtype=st.sampled_from(sorted(DTYPES)),
                    shape=hnp.array_shapes(max_dims=1, max_side=300),
                ),
                max_size=MAX_ARRAYS,
            ),
        ),
        min_size=1,
        max_size=3,
    ),
    round_=st.integers(0, 2**53 - 1),
)
def test_any_result_survives(vectors: list[Packed], round_: int) -> None:
    """Whatever the format: what it means is not the frames' business."""
    result = Result(0, round_, 1, 0, tuple(vectors), [1.5], 0.0, 0.0)
    assert comparable(decode(encode(result), TO_MASTER)) == comparable(result)


NIL = object()


def header(of: str = "result", /, **changes: object) -> bytes:
    """The header of a valid message with some fields changed, or removed (None), or none (NIL)."""
    fields = msgpack.unpackb(encode(messages(5)[of])[0])
    for key, value in changes.items():
        if value is None:
            del fields[key]
        else:
            fields[key] = None if value is NIL else value
    packed: bytes = msgpack.packb(fields)
    return packed


EIGHT = b"\0" * 8


def vectors(*arrays: object) -> bytes:
    """The header of a result with one vector, of one value in f8, and these arrays."""
    return header(vectors=[["f8", 1, *arrays]])


def support(*described: object) -> bytes:
    """The header of a READY with a support that is described so."""
    return header("ready", support=list(described))


BAD_MESSAGES: dict[str, tuple[list[bytes], str]] = {
    "no frames": ([], "malformed"),
    "empty header": ([b""], "malformed"),
    "not msgpack": ([b"\xc1"], "malformed"),
    "trailing bytes": ([header() + b"x"], "malformed"),
    "truncated": ([header()[:-1]], "malformed"),
    "http": ([b"GET / HTTP/1.1\r\n\r\n"], "malformed"),
    "a number": ([msgpack.packb(7)], "malformed"),
    "a list": ([msgpack.packb([1, 2])], "malformed"),
    "deeply nested": ([b"\x91" * 5000 + b"\x01"], "malformed"),
    "header too large": ([b"\0" * (MAX_HEADER_BYTES + 1)], "too-large"),
    "frame too large": ([header(), b"\0" * 2048], "too-large"),
    "no kind": ([header(kind=None)], "unknown-kind"),
    "kind of another type": ([header(kind=[1])], "unknown-kind"),
    "unknown kind": ([header(kind="shutdown")], "unknown-kind"),
    "message of the other direction": ([msgpack.packb({"kind": "register"})], "unknown-kind"),
    "unknown key": ([header(extra=1)], "malformed"),
    "missing key": ([header(slot=None)], "malformed"),
    "negative round": ([header(round=-1)], "malformed"),
    "huge round": ([header(round=2**63)], "malformed"),
    "boolean round": ([header(round=True)], "malformed"),
    "text round": ([header(round="7")], "malformed"),
    "nan seconds": ([header(compute_s=float("nan"))], "malformed"),
    "negative seconds": ([header(delay_s=-1.0)], "malformed"),
    "frame nobody described": ([header(), b"x"], "malformed"),
    "missing frame": ([vectors("<f8", 1)], "malformed"),
    "frame zero": ([vectors("<f8", 0)], "malformed"),
    "frame that is not there": ([vectors("<f8", 2), EIGHT], "malformed"),
    "one frame for two arrays": ([vectors("<f8", 1, "<f8", 1), EIGHT], "malformed"),
    "bytes of another type": ([vectors("<f8", "x")], "malformed"),
    "pickle's dtype": ([vectors("|O", EIGHT)], "malformed"),
    "big endian": ([vectors(">f8", EIGHT)], "malformed"),
    "dtype of the wrong type": ([vectors(8, EIGHT)], "malformed"),
    "dtype that cannot be looked up": ([vectors({}, EIGHT)], "malformed"),
    "bytes of half a number": ([vectors("<f8", EIGHT + b"\0" * 4)], "malformed"),
    "dtype without bytes": ([vectors("<f8")], "malformed"),
    "too many arrays": ([vectors(*["<f8", EIGHT] * (MAX_ARRAYS + 1))], "malformed"),
    "no vector": ([header(vectors=[])], "malformed"),
    "vectors of nothing": ([header(vectors=NIL)], "malformed"),
    "vectors of another type": ([header(vectors={})], "malformed"),
    "too many vectors": ([header(vectors=[["f8", 0]] * (MAX_VECTORS + 1))], "malformed"),
    "a vector of another type": ([header(vectors=["f8"])], "malformed"),
    "a vector of nothing": ([header(vectors=[[]])], "malformed"),
    "a format of another type": ([header(vectors=[[8, 0]])], "malformed"),
    "a format without a name": ([header(vectors=[["", 0]])], "malformed"),
    "a format of two lines": ([header(vectors=[["f\n8", 0]])], "malformed"),
    "a format of many words": ([header(vectors=[["f" * (MAX_NAME + 1), 0]])], "malformed"),
    "a negative count": ([header(vectors=[["f8", -1]])], "malformed"),
    "a count that is a truth": ([header(vectors=[["f8", True]])], "malformed"),
    "a count in words": ([header(vectors=[["f8", "1"]])], "malformed"),
    "floats for integers": ([support("<f8", [1], EIGHT)], "malformed"),
    "narrow integers": ([support("|i1", [8], EIGHT)], "malformed"),
    "wrong axes": ([support("<i8", [1, 1], EIGHT)], "malformed"),
    "too few bytes": ([support("<i8", [2], EIGHT)], "malformed"),
    "too many bytes": ([support("<i8", [1], EIGHT * 2)], "malformed"),
    "overflowing shape": ([support("<i8", [2**62, 8], EIGHT)], "malformed"),
    "negative shape": ([support("<i8", [-1], EIGHT)], "malformed"),
    "four axes": ([support("<i8", [1, 1, 1, 1], EIGHT)], "malformed"),
    "shape of the wrong type": ([support("<i8", 1, EIGHT)], "malformed"),
    "descriptor of the wrong type": ([header("ready", support="x")], "malformed"),
    "descriptor too short": ([support("<i8", [1])], "malformed"),
    "another version": (
        [msgpack.packb({"kind": "hello", "protocol": 99, "colour": "blue"})],
        "wrong-version",
    ),
    "greeting of another build": (
        [
            msgpack.packb(
                {
                    **{
                        "kind": "hello",
                        "protocol": PROTOCOL_VERSION,
                        "name": "x",
                        "version": "9.9" * 99,
                    },
                    **{"host": "", "zone" * 99: 3},
                }
            )
        ],
        "wrong-version",
    ),
    "greeting without a host": (
        [
            msgpack.packb(
                {"kind": "hello", "protocol": PROTOCOL_VERSION, "name": "x", "version": "2\n3"}
            )
        ],
        "wrong-version",
    ),
    "no version": ([msgpack.packb({"kind": "hello", "name": "x"})], "wrong-version"),
    "unknown key with a line break": ([header(**{"v\nlues": 1})], "malformed"),
    "unknown key of some length": ([header(**{"v" * 30_000: 1})], "malformed"),
    "reason that clears the screen": (
        [msgpack.packb({"kind": "goodbye", "reason": "a\x9b2J"})],
        "malformed",
    ),
    "reason of two lines": ([msgpack.packb({"kind": "goodbye", "reason": "a\nb"})], "malformed"),
    "name with a line break": (
        [
            msgpack.packb(
                {
                    "kind": "hello",
                    "protocol": PROTOCOL_VERSION,
                    "name": "a\nb",
                    "version": "",
                    "host": "",
                }
            )
        ],
        "malformed",
    ),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_bad_messages_are_refused_by_reason(name: str) -> None:
    frames, reason = BAD_MESSAGES[name]
    with pytest.raises(ProtocolError) as refused:
        decode(frames, TO_MASTER, max_frame_bytes=1024)
    assert refused.value.reason == reason
    assert refused.value.reason in REFUSALS
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_arbitrary_bytes_never_do_anything_but_be_refused(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode(frames, TO_MASTER)


@given(
    kind=st.sampled_from(sorted(KNOWN)),
    cut=st.integers(0, 400),
    flip=st.integers(0, 255),
    at=st.integers(0, 400),
)
def test_damaged_messages_are_refused_or_still_well_formed(
    kind: str, cut: int, flip: int, at: int
) -> None:
    raw = bytearray(encode(messages(5)[kind])[0])
    raw[at % len(raw)] ^= flip
    damaged = bytes(raw[: max(1, len(raw) - cut)]) if cut % 2 else bytes(raw)
    try:
        outcome = type(decode([damaged], KNOWN)).__name__
    except ProtocolError as error:
        outcome = error.reason
    assert outcome in {cls.__name__ for cls in KNOWN.values()} | set(REFUSALS)


def test_no_piece_of_a_refused_header_is_taken_for_a_message() -> None:
    """Why headers are read as a whole and not by a streaming reader such as msgpack's Unpacker.

    That one goes on inside a message which it refused, and hands out the rest of it as messages
    (findings/msgpack-unpacker.sh): a goodbye that nobody said would free a worker's slot.
    1. A header that is refused, for a text that is none, holds a whole goodbye. 2. It is refused,
    whole. 3. What is received next is only what was sent next.
    """
    goodbye = {"kind": "goodbye", "reason": "never said"}
    refused = [b"\x82\xa1\xff\x01" + msgpack.packb("nested") + msgpack.packb(goodbye)]
    with pytest.raises(ProtocolError) as caught:
        decode(refused, TO_MASTER)
    assert caught.value.reason == "malformed"
    assert decode(encode(Heartbeat(3, 0.5)), TO_MASTER) == Heartbeat(3, 0.5)
    users = [name for name, path in modules().items() if "msgpack.Unpacker(" in path.read_text()]
    assert users == []


def test_two_messages_in_one_header_are_none() -> None:
    one = msgpack.packb({"kind": "goodbye", "reason": "said"})
    assert decode([one], TO_MASTER) == Goodbye("said")
    with pytest.raises(ProtocolError, match="not msgpack"):
        decode([one + one], TO_MASTER)


def test_our_own_mistakes_are_not_sent() -> None:
    with pytest.raises(ValueError, match="never sent"):
        encode(Ready(0, 1, 9, "abc", np.zeros(3, dtype=bool)))
    with pytest.raises(ValueError, match="over the limit"):
        encode(Goodbye("x" * MAX_HEADER_BYTES))


def test_dtypes_are_little_endian_and_plain() -> None:
    assert all(d.kind in "fiu" and d.byteorder in "<|=" for d in DTYPES.values())
