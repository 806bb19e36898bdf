"""Damaged messages of every kind, and what a master must say to each.

Run as a script it sends them: `python benchmarks/mutants.py ADDRESS COUNT SEED` connects a few
sockets, sends COUNT mutants, waits until the master has read them all, and prints, as JSON, how
many it sent that must be refused for which reason.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zmq

from erasurehead.network.sockets import connect_dealer
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import PROTOCOL_VERSION, TO_MASTER, Goodbye, Hello, ProtocolError

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.example_messages import messages

Frames = list[bytes]
SOCKETS = 4
ANSWER_MS = 500
LARGEST_BYTES = 128 * 1024
"""At a larger frame libzmq hangs up, and what is still on its way over that connection is lost."""


def originals() -> list[Frames]:
    """Every kind of message; arrays both within the header and in frames of their own."""
    made = [
        *messages(20).values(),
        *messages(5000).values(),
        *messages(20, "f2").values(),
    ]
    return [[bytes(frame) for frame in encode(message)] for message in made]


def mutants(seed: int) -> Iterator[tuple[Frames, str | None]]:
    """Yield damaged messages for ever, each with the reason for which a stranger's is refused.

    The reason is None for a HELLO that is still well-formed: a greeting, not an attack.
    """
    rng = random.Random(seed)
    sources = originals()
    while True:
        frames = [*rng.choice(sources)]
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            frames = _damage(frames, rng)
        if frames and max(map(len, frames)) <= LARGEST_BYTES:
            yield frames, expected(frames)


def expected(frames: Frames) -> str | None:
    """Return why a master refuses this from somebody who is not registered."""
    try:
        message = decode(frames, TO_MASTER)
    except ProtocolError as error:
        return error.reason
    return None if isinstance(message, Hello) else "unknown-peer"


def _damage(frames: Frames, rng: random.Random) -> Frames:
    frames = [*frames]
    if not frames:
        return [rng.randbytes(rng.randrange(50))]
    which = rng.randrange(len(frames))
    frame = bytearray(frames[which])
    at = rng.randrange(len(frame) + 1)
    match rng.randrange(10):
        case 0 | 1 | 2:
            if frame:
                frame[at % len(frame)] ^= 1 << rng.randrange(8)
        case 3:
            if frame:
                frame[at % len(frame)] = rng.randrange(256)
        case 4:
            del frame[at:]
        case 5:
            frame[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 6:
            del frame[at : at + rng.randrange(1, 9)]
        case 7:
            frame[at:at] = frame[: rng.randrange(len(frame) + 1)]
        case 8:
            frames.insert(rng.randrange(len(frames) + 1), rng.randbytes(rng.randrange(64)))
            return frames
        case 9:
            del frames[which]
            return frames
    frames[which] = bytes(frame)
    return frames


def send(address: str, count: int, seed: int) -> dict[str, int]:
    """Send `count` mutants and return how many must be counted under each reason."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = [
        connect_dealer(context, address, identity=b"m%d-%d" % (seed, i)) for i in range(SOCKETS)
    ]
    told: Counter[str] = Counter()
    source = mutants(seed)
    while told.total() < count:
        frames, reason = next(source)
        if reason is None:
            continue
        socket = sockets[told.total() % SOCKETS]
        socket.send_multipart(frames)  # waits where the master is behind: nothing is lost
        told[reason] += 1
        while socket.poll(0):
            socket.recv_multipart()  # REGISTER, mostly
    for i, socket in enumerate(sockets):
        told["rate-limited"] += _greet_until_heard(socket, f"mutant-{seed}-{i}")
        socket.close()
    context.term()
    return dict(told)


def _greet_until_heard(socket: zmq.Socket[bytes], name: str) -> int:
    """Greet and leave again; what came before has then been read. Return greetings not heard."""
    hello = encode(Hello(PROTOCOL_VERSION, name, "1", "nowhere"))
    sent = 0
    while True:
        socket.send_multipart(hello)
        sent += 1
        if _answered(socket):
            break
    socket.send_multipart(encode(Goodbye("all sent")))
    return sent - 1


def _answered(socket: zmq.Socket[bytes]) -> bool:
    while socket.poll(ANSWER_MS):
        if b"heartbeat" in socket.recv_multipart()[0]:
            return True
    return False


if __name__ == "__main__":
    print(json.dumps(send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
