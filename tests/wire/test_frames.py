"""Messages survive the wire, and bytes that are not the protocol are refused by reason."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from example_messages import ASSIGN
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from erasurehead.wire.frames import DTYPES, MAX_HEADER_BYTES, MAX_INLINE_BYTES, decode, encode
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    REFUSALS,
    TO_MASTER,
    TO_WORKER,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    NeedTask,
    ProtocolError,
    Ready,
    Refuse,
    Register,
    Result,
    Step,
    Stop,
    Task,
)


def example(values: int = 5) -> dict[str, Message]:
    """One message of every kind."""
    return {
        "hello": Hello(PROTOCOL_VERSION, "worker-3", "1.2", "host", slot=3, cpu_limit=0.5),
        "need-task": NeedTask(0, 4, 1),
        "ready": Ready(0, 3, 100, "abc", np.arange(values, dtype=np.int32)),
        "result": Result(0, 7, 3, 0, np.arange(values, dtype=float)[np.newaxis], [2.5], 0.25, 0.5),
        "heartbeat": Heartbeat(7, 0.5),
        "goodbye": Goodbye("asked to end"),
        "assign": ASSIGN,
        "task": Task(
            0, 4, 1, 2, np.array([0, 2]), np.array([1, 5], dtype=np.int32), np.array([1.0])
        ),
        "step": Step(0, 7, np.arange(values, dtype=float)),
        "register": Register(),
        "refuse": Refuse("wrong-version", "speak 1"),
        "stop": Stop("finished", "all 10 rounds done"),
    }


def same(a: Message, b: Message) -> bool:
    """Equal field by field, arrays by dtype, shape and content."""
    if type(a) is not type(b):
        return False
    for name in type(a).__slots__:  # type: ignore[attr-defined]
        x, y = getattr(a, name), getattr(b, name)
        if isinstance(x, np.ndarray):
            if x.dtype != y.dtype or x.shape != y.shape or not np.array_equal(x, y):
                return False
        elif x != y:
            return False
    return True


KNOWN = TO_MASTER | TO_WORKER


@pytest.mark.parametrize("kind", sorted(KNOWN))
@pytest.mark.parametrize("values", [1, 5, 5000])
def test_every_kind_survives_the_wire(kind: str, values: int) -> None:
    message = example(values)[kind]
    assert same(decode([bytes(f) for f in encode(message)], KNOWN), message)


def test_there_is_an_example_of_every_kind() -> None:
    assert set(example()) == set(KNOWN)


def test_small_arrays_share_the_header_and_large_ones_are_not_copied() -> None:
    small = encode(Step(0, 1, np.zeros(MAX_INLINE_BYTES // 8)))
    theta = np.zeros(MAX_INLINE_BYTES // 8 + 1)
    large = encode(Step(0, 1, theta))
    assert len(small) == 1
    assert len(large) == 2
    assert np.shares_memory(np.frombuffer(large[1]), theta)
    decoded = decode(large, TO_WORKER)
    assert np.shares_memory(decoded.theta, theta)


def test_golden_bytes() -> None:
    """The format is part of the protocol: a change of these bytes needs a new version."""
    assert encode(Heartbeat(7, 0.5)) == [
        b"\x83\xa4kind\xa9heartbeat\xa5round\x07\xacload_average\xcb?\xe0\0\0\0\0\0\0"
    ]
    assert encode(Step(1, 2, np.array([1.0], dtype="<f4"))) == [
        b"\x84\xa4kind\xa4step\xa5epoch\x01\xa5round\x02\xa5theta\x93\xa3<f4\x91\x01\xc4\x04\0\0\x80?"
    ]


@given(
    values=hnp.arrays(
        dtype=st.sampled_from(["<f8", "<f4"]),
        shape=hnp.array_shapes(min_dims=2, max_dims=2, max_side=60),
        elements=st.floats(width=32, allow_nan=True),
    ),
    round_=st.integers(0, 2**53 - 1),
)
def test_any_result_survives(values: np.ndarray, round_: int) -> None:
    result = Result(0, round_, 1, 0, values, [1.5], 0.0, 0.0)
    back = decode(encode(result), TO_MASTER)
    np.testing.assert_array_equal(back.values, values)
    assert back.round == round_


@pytest.mark.parametrize("kind", ["stop", "refuse"])
def test_a_code_of_a_later_version_is_understood(kind: str) -> None:
    """Its worker is to leave all the same; what is no label is refused as ever."""
    fields = {"kind": kind, "code": "of-tomorrow", "reason": "why"}
    assert decode([msgpack.packb(fields)], TO_WORKER).code == "of-tomorrow"
    for code in (7, "", "two\nlines", None):
        with pytest.raises(ProtocolError):
            decode([msgpack.packb(fields | {"code": code})], TO_WORKER)


def header(**changes: object) -> bytes:
    """The header of a valid result with some fields changed or removed (None)."""
    fields = msgpack.unpackb(encode(example()["result"])[0])
    for key, value in changes.items():
        if value is None:
            del fields[key]
        else:
            fields[key] = value
    packed: bytes = msgpack.packb(fields)
    return packed


EIGHT = b"\0" * 8
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
    "missing frame": ([header(values=["<f8", [1, 1], 1])], "malformed"),
    "frame zero": ([header(values=["<f8", [1, 1], 0])], "malformed"),
    "frame that is not there": (
        [header(values=["<f8", [1, 1], 2]), EIGHT],
        "malformed",
    ),
    "pickle's dtype": ([header(values=["|O", [1, 1], EIGHT])], "malformed"),
    "big endian": ([header(values=[">f8", [1, 1], EIGHT])], "malformed"),
    "integers for floats": ([header(values=["<i8", [1, 1], EIGHT])], "malformed"),
    "too few bytes": ([header(values=["<f8", [1, 2], EIGHT])], "malformed"),
    "too many bytes": ([header(values=["<f8", [1, 1], EIGHT * 2])], "malformed"),
    "overflowing shape": ([header(values=["<f8", [2**62, 8], EIGHT])], "malformed"),
    "negative shape": ([header(values=["<f8", [-1, -1], EIGHT])], "malformed"),
    "four axes": ([header(values=["<f8", [1, 1, 1, 1], EIGHT])], "malformed"),
    "wrong axes": ([header(values=["<f8", [1], EIGHT])], "malformed"),
    "descriptor of the wrong type": ([header(values="x")], "malformed"),
    "descriptor too short": ([header(values=["<f8", [1, 1]])], "malformed"),
    "dtype of the wrong type": ([header(values=[8, [1, 1], EIGHT])], "malformed"),
    "another version": (
        [msgpack.packb({"kind": "hello", "protocol": 99, "colour": "blue"})],
        "wrong-version",
    ),
    "greeting of another build": (
        [
            msgpack.packb(
                {
                    **{"kind": "hello", "protocol": 1, "name": "x", "version": "9.9" * 99},
                    **{"host": "", "zone" * 99: 3},
                }
            )
        ],
        "wrong-version",
    ),
    "greeting without a host": (
        [msgpack.packb({"kind": "hello", "protocol": 1, "name": "x", "version": "2\n3"})],
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
                {"kind": "hello", "protocol": 1, "name": "a\nb", "version": "", "host": ""}
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
    raw = bytearray(encode(example()[kind])[0])
    raw[at % len(raw)] ^= flip
    damaged = bytes(raw[: max(1, len(raw) - cut)]) if cut % 2 else bytes(raw)
    try:
        outcome = type(decode([damaged], KNOWN)).__name__
    except ProtocolError as error:
        outcome = error.reason
    assert outcome in {cls.__name__ for cls in KNOWN.values()} | set(REFUSALS)


def test_our_own_mistakes_are_not_sent() -> None:
    with pytest.raises(ValueError, match="never sent"):
        encode(Step(0, 1, np.zeros(3, dtype=np.float16)))
    with pytest.raises(ValueError, match="over the limit"):
        encode(Goodbye("x" * MAX_HEADER_BYTES))


def test_dtypes_are_little_endian_and_plain() -> None:
    assert all(d.kind in "fiu" and d.byteorder in "<|=" for d in DTYPES.values())
