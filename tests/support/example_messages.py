"""One message of every kind, for tests and benchmarks; they take copies with other fields."""

from __future__ import annotations

import msgspec
import numpy as np

from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    TO_MASTER,
    TO_WORKER,
    Assign,
    Drain,
    Goodbye,
    Handover,
    Heartbeat,
    Hello,
    Message,
    NeedTask,
    Ready,
    Refuse,
    Register,
    Result,
    Step,
    Stop,
    Task,
)
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import Packed

ASSIGN = Assign(
    run="r",
    epoch=0,
    slot=1,
    n_slots=2,
    columns=6,
    n_parameters=6,
    tasks=np.array([0, 1]),
    row_ranges=np.array([[0, 5], [5, 9]]),
    coefficients=np.ones((1, 1, 2)),
    model="logistic",
    store=None,
    digest="abc",
    batch=1.0,
    batch_seed=0,
    vector_format="f8",
    differences=None,
    delay="none",
    delay_seed=0,
    load_share=0.5,
    delay_shares=np.ones(1),
    heartbeat_interval_s=1.0,
    silence_limit_s=5.0,
    dense_share=0.7,
    max_frame_bytes=1 << 20,
)


KNOWN = TO_MASTER | TO_WORKER
"""Every message by its kind."""


def packed(values: object, format: str = "f8") -> Packed:
    """Return a vector as it travels."""
    return FORMATS.build(format).pack(np.asarray(values, dtype=float), np.random.default_rng(0))


def messages(n: int, format: str = "f8") -> dict[str, Message]:
    """Return one message of every kind; the long arrays in them have `n` values."""
    values = np.linspace(-1.0, 1.0, n)
    examples: list[Message] = [
        Hello(PROTOCOL_VERSION, "worker-3", "1.2", "host", slot=3, cpu_limit=0.5),
        NeedTask(0, 4, 1),
        Ready(0, 3, 100, "abc", np.arange(n, dtype=np.int32)),
        Result(0, 7, 3, 0, (packed(values, format),), [2.5], 0.25, 0.5),
        Heartbeat(7, 0.5),
        Drain(5.0, "asked to end"),
        Goodbye("asked to end"),
        ASSIGN,
        Task(0, 4, 1, 2, np.array([0, 2]), np.array([1, 5], dtype=np.int32), values[:1]),
        Step(0, 7, packed(values, format)),
        Register(),
        Refuse("wrong-version", "speak 1"),
        Handover("asked to end by SIGTERM"),
        Stop("finished", "all 10 rounds done"),
    ]
    return {message.kind: message for message in examples}


def comparable(value: object) -> object:
    """Return something that is equal for equal messages, and for equal parts of messages.

    Arrays are told apart by dtype, shape and content; NaN equals NaN.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Packed):
        return value.format, value.n, comparable(value.arrays)
    if isinstance(value, tuple):
        return tuple(map(comparable, value))
    if isinstance(value, msgspec.Struct):
        return type(value), tuple(map(comparable, msgspec.structs.astuple(value)))
    return repr(value)
