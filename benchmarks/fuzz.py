"""A coverage-guided search for bytes that decoding does not survive.

    python benchmarks/fuzz.py [--seconds 600]

Feeds frames made up by atheris (libFuzzer) to `decode`. Whatever comes back must be a message of a
known kind, or `ProtocolError` with a reason from the list; what is decoded, encoded and decoded
again must be the same; and a vector that fits its format must become as many values as it says.
Anything else, a single input over a second or a wish for a gigabyte of memory ends the search with
the input. Starts from one message of every kind. Needs atheris: pip install 'erasurehead[dev]'.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["erasurehead.wire", "msgpack"]):
    from erasurehead.wire import frames, messages
    from erasurehead.wire.vectors import FORMATS
    from erasurehead.wire.vectors.base import Packed

import msgpack
from mutants import originals

# Not before: mutants puts the folder of this module on the path.
from tests.support.example_messages import KNOWN, comparable  # isort: skip

MEMORY_LIMIT_BYTES = 1 << 30
SEPARATOR = b"\0|\0"
"""Between the frames of one input."""
VALUES: list[object] = [
    *(None, True, -1, 0, 1, 2**53, 2**64 - 1, float("nan"), float("inf"), 0.5),
    *("", "x", "a\nb", b"", b"\0" * 8, [], {}, [[]]),
    *(["f8", 1, "<f8", b"\0" * 8], [["f4", 2**40]], [["f2", 0, "<f2", b"", "<f8", b"\0" * 8]]),
    *(["<f8", [1], b"\0" * 8], ["<i4", [2**40, 2**40], 1], ["|u1", [0, 5], b""], ["<f8", [1], 1]),
]


def one_input(data: bytes) -> None:
    """Decode one made-up message; raise if it does what it must not."""
    pieces = data.split(SEPARATOR)
    try:
        message = frames.decode(pieces, KNOWN, 1 << 20)
    except messages.ProtocolError as error:
        if error.reason not in messages.REFUSALS or not str(error).isprintable():
            raise RuntimeError(f"refused for {error.reason!r}: {error}") from error
        return
    again = frames.decode([bytes(f) for f in frames.encode(message)], KNOWN)
    if comparable(message) != comparable(again):
        raise RuntimeError(f"{message.kind} changed on its way: {message!r}, {again!r}")
    for vector in [getattr(message, "model", None), *getattr(message, "vectors", ())]:
        if vector is not None and vector.format in FORMATS:
            unpack(vector)


def unpack(vector: Packed) -> None:
    """Unpack what came from a peer; raise if that does what it must not."""
    format = FORMATS.build(vector.format)
    if format.misfit(vector) is None and format.unpack(vector).shape != (vector.n,):
        raise RuntimeError(f"{vector!r} became something else than {vector.n} values")


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change raw bytes, or one field of a header that stays well-formed otherwise.

    msgpack is compiled, so coverage does not guide anyone through it: changed bytes alone would
    hardly ever get past it.
    """
    rng = random.Random(seed)
    pieces = data.split(SEPARATOR)
    try:
        header = msgpack.unpackb(pieces[0], strict_map_key=False)
        key = rng.choice(list(header))
    except Exception:
        header = None
    if not isinstance(header, dict) or rng.random() < 0.3:
        changed: bytes = atheris.Mutate(data, max_size)
        return changed
    value = atheris.Mutate(msgpack.packb(header[key]), 4096)
    try:
        header[key] = msgpack.unpackb(value, strict_map_key=False)
    except Exception:
        header[key] = rng.choice(VALUES)
    pieces[0] = msgpack.packb(header)
    return SEPARATOR.join(pieces)[:max_size]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        for i, pieces in enumerate(originals()):
            (Path(directory) / f"{i}").write_bytes(SEPARATOR.join(pieces))
        options = [
            f"-max_total_time={given.seconds}",
            f"-seed={given.seed}",
            "-timeout=1",
            "-max_len=70000",
            # libFuzzer would count the peak of whatever started this process as its own.
            "-rss_limit_mb=0",
            "-print_final_stats=1",
            f"-artifact_prefix={directory}/",
        ]
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
        atheris.Setup([sys.argv[0], *options, directory], one_input, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
