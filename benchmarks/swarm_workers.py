"""Many workers in one process, which cost little: `benchmarks/swarm.py` starts it.

    python benchmarks/swarm_workers.py ADDRESS WORKERS ROUNDS MASTER_PID

Each worker is a connected DEALER that greets, says that its rows are loaded, gives signs of life
and answers every model. It speaks through the packages on PYTHONPATH, so it can be of an older
checkout of this repository: what was called otherwise there is looked up by name.

The gradient is made once a round, for all: the workers' objective is |theta - aim|^2 / 2 on every
row, so the sum over the rows of a worker is theta - aim times their number. A result differs from
worker to worker in its slot alone. So little is computed, and the model after any number of rounds
is known.

At the end it prints, as JSON, what it saw from the first connection on, and what the master's
process had used after the warm-up and at the end.
"""

from __future__ import annotations

import json
import secrets
import select
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import psutil
import zmq

from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    TO_WORKER,
    Heartbeat,
    Hello,
    Ready,
    Result,
)

WARM_UP = 10
"""Rounds before anything is measured."""

LOOK_EVERY_S = 0.2
"""Between two looks at whose sign of life is due, and whether the master lives."""

FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 5.0
"""Pauses between greetings, as those of a real worker."""

SAMPLES = 20
"""Of the master's memory."""


def aim(columns: int) -> npt.NDArray[np.float64]:
    """Return the point that all workers pull to, shape (columns,)."""
    return np.random.default_rng(0xA13).standard_normal(columns)


@dataclass
class Seen:
    """What the workers saw of a run.

    Attributes
    ----------
    joined_s: from the first connection until the first model came.
    rounds: measured, after the warm-up.
    round_s: mean of these, from first model to first model; `median_s` their median.
    master_cpu_s, workers_cpu_s: processor time of the master and of this process in these rounds.
    memory_bytes: the master's resident memory, from the warm-up to the end in equal distances.
    """

    joined_s: float = 0.0
    rounds: int = 0
    round_s: float = 0.0
    median_s: float = 0.0
    master_cpu_s: float = 0.0
    workers_cpu_s: float = 0.0
    memory_bytes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Worker:
    """One of them.

    Attributes
    ----------
    slot: as a field of a message; empty before it has one.
    rows: how many it has.
    greet_at, pause_s: when to greet again while there is no answer, and the pause after that.
    sent_at: when it said anything.
    """

    socket: zmq.Socket[bytes]
    name: str
    greet_at: float
    slot: bytes = b""
    rows: int = 0
    pause_s: float = FIRST_RETRY_S
    sent_at: float = 0.0


class Swarm:
    """The workers of one master.

    Parameters
    ----------
    address: of the master.
    count: of the workers.
    rounds: after which the master ends.
    master: its process.
    """

    def __init__(self, address: str, count: int, rounds: int, master: psutil.Process) -> None:
        self.seen = Seen()
        self._master = master
        self._rounds = rounds
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, count + 16)
        self._epoll = select.epoll()
        self._workers: dict[int, Worker] = {}
        self._assign: Any = None
        self._format: Any = None
        self._tails: dict[int, list[bytes]] = {}
        """By number of rows, the frames of this round's result from after the slot on."""
        self._begin = b""
        """What comes before the slot."""
        self._header = b""
        """The first frame of this round's models."""
        self._n_more = 0
        """Frames after it."""
        self._round = 0
        self._opened_s: list[float] = []
        self._cpu_s = (0.0, 0.0)
        self._stopped = 0
        self._began = time.monotonic()
        for number in range(count):
            self._connect(address, number)

    def run(self) -> Seen:
        """Work until the master has told every worker to stop, or is gone."""
        look_at = 0.0
        while self._stopped < len(self._workers):
            for descriptor, _ in self._epoll.poll(LOOK_EVERY_S):
                self._receive(self._workers[descriptor])
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_EVERY_S
                if not self._master.is_running() or self._master.status() == "zombie":
                    break
                self._give_signs_of_life(now)
        self._context.destroy(linger=0)
        return self.seen

    def _connect(self, address: str, number: int) -> None:
        socket = connect_dealer(self._context, address, identity=b"w" + secrets.token_bytes(8))
        worker = Worker(socket, f"swarm-{number}", self._began)
        self._workers[socket.fileno()] = worker
        self._epoll.register(socket.fileno(), select.EPOLLIN)
        self._greet(worker, time.monotonic())
        self._receive(worker)

    def _greet(self, worker: Worker, now: float) -> None:
        self._send(worker, Hello(PROTOCOL_VERSION, worker.name, "swarm", "swarm"), now)
        worker.greet_at = now + worker.pause_s
        worker.pause_s = min(2 * worker.pause_s, LONGEST_RETRY_S)

    def _send(self, worker: Worker, message: Any, now: float) -> None:
        worker.sent_at = now
        worker.socket.send_multipart(encode(message))

    def _give_signs_of_life(self, now: float) -> None:
        interval_s = self._assign.heartbeat_interval_s if self._assign is not None else 1.0
        for worker in self._workers.values():
            if not worker.slot:
                if now < worker.greet_at:
                    continue
                self._greet(worker, now)
            elif now >= worker.sent_at + interval_s:
                self._send(worker, Heartbeat(0, 0.0), now)
            else:
                continue
            self._receive(worker)

    def _receive(self, worker: Worker) -> None:
        """Read all that waits.

        The descriptor tells of news only after the inbox was found empty: libzmq may have seen them
        come while it was sending.
        """
        socket = worker.socket
        while True:
            try:
                header = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if header == self._header:
                for _ in range(self._n_more):
                    socket.recv()
            else:
                frames = [header]
                while socket.getsockopt(zmq.RCVMORE):
                    frames.append(socket.recv())
                if not self._is_model(worker, frames):
                    continue
            first, *rest = self._tails[worker.rows]
            worker.sent_at = self._opened_s[-1]
            more = zmq.SNDMORE if rest else 0
            socket.send(self._begin + worker.slot + first, zmq.NOBLOCK | more)
            if rest:
                socket.send_multipart(rest)

    def _is_model(self, worker: Worker, frames: list[bytes]) -> bool:
        """Take a message that is no other copy of this round's model; True if it is a model."""
        message: Any = decode(frames, TO_WORKER)
        now = time.monotonic()
        if message.kind == "step":
            if message.round < self._round:
                return False
            if message.round > self._round:
                self._open(message, now)
            self._header, self._n_more = frames[0], len(frames) - 1
            return True
        if message.kind == "assign":
            self._take_place(worker, message, now)
        elif message.kind == "register":
            self._greet(worker, now)
        elif message.kind == "stop":
            self._stopped += 1
        elif message.kind == "refuse":
            raise SystemExit(f"the master refuses worker {worker.name}: {message.reason}")
        return False

    def _take_place(self, worker: Worker, assign: Any, now: float) -> None:
        """Say that the rows of a place are loaded."""
        if self._assign is None:
            self._assign = assign
            if hasattr(assign, "vector_format"):
                formats: Any = import_module("erasurehead.wire.vectors").FORMATS
                self._format = formats.build(assign.vector_format)
        worker.rows = int(np.diff(assign.row_ranges).sum())
        worker.slot = field_of("slot", assign.slot)
        self._send(worker, Ready(assign.epoch, assign.slot, worker.rows, assign.digest), now)

    def _open(self, step: Any, now: float) -> None:
        """Make the results of a round."""
        self._round = step.round
        if self._format is None:
            theta = step.theta
        else:
            theta = np.asarray(self._format.unpack(step.model), dtype=np.float64)
        away = theta - aim(len(theta))
        self._tails = {
            rows: self._result(step, rows, away)
            for rows in {w.rows for w in self._workers.values()}
        }
        self._note(now)

    def _result(self, step: Any, rows: int, away: npt.NDArray[np.float64]) -> list[bytes]:
        """Return the frames of a result of so many rows, from after the slot on."""
        gradient = rows * away
        loss = [0.5 * rows * float(away @ away)]
        of_round: dict[str, Any] = {"epoch": step.epoch, "round": step.round, "slot": 0, "part": 0}
        if self._format is None:
            vectors: dict[str, Any] = {
                "values": gradient.astype(self._assign.wire_dtype)[np.newaxis]
            }
        else:
            rng = np.random.default_rng(step.round)
            vectors = {"vectors": (self._format.packer(rng).pack(gradient),)}
        make: Any = Result
        message = make(**of_round, **vectors, loss=loss, compute_s=0.0, delay_s=0.0)
        header, *rest = [bytes(frame) for frame in encode(message)]
        said = msgspec.msgpack.decode(header)
        # The first byte of a short map says how many fields it has.
        self._begin = bytes([0x80 | len(said)])
        del said["slot"]
        packed = b"".join(field_of(key, value) for key, value in said.items())
        return [packed, *rest]

    def _note(self, now: float) -> None:
        """Keep what is known of a round when it opens."""
        self._opened_s.append(now)
        seen, done = self.seen, self._round - 1
        if done == 0:
            seen.joined_s = now - self._began
        if done == WARM_UP:
            self._cpu_s = self._used_cpu_s()
        measured = self._rounds - 1 - WARM_UP
        if done >= WARM_UP and (done - WARM_UP) % max(1, measured // SAMPLES) == 0:
            seen.memory_bytes.append(self._master.memory_info().rss)
        if done == self._rounds - 1:
            master_s, own_s = self._used_cpu_s()
            seen.master_cpu_s = master_s - self._cpu_s[0]
            seen.workers_cpu_s = own_s - self._cpu_s[1]
            lasted_s = np.diff(self._opened_s[WARM_UP:])
            seen.rounds = len(lasted_s)
            seen.round_s, seen.median_s = float(lasted_s.mean()), float(np.median(lasted_s))

    def _used_cpu_s(self) -> tuple[float, float]:
        times = self._master.cpu_times()
        return times.user + times.system, time.process_time()


def field_of(name: str, value: Any) -> bytes:
    """Return a field of a header, which is a msgpack map."""
    return msgspec.msgpack.encode(name) + msgspec.msgpack.encode(value)


def connect_dealer(*given: Any, **named: Any) -> zmq.Socket[bytes]:
    """Connect as a real worker of the checkout does."""
    for module in ("erasurehead.network.sockets", "erasurehead.wire.sockets"):
        try:
            found: Any = import_module(module)
        except ImportError:
            continue
        socket: zmq.Socket[bytes] = found.connect_dealer(*given, **named)
        return socket
    raise SystemExit("this checkout has no function connect_dealer where it is looked for")


def main() -> None:
    """Play the workers of one run, and print what they saw."""
    address, workers, rounds, pid = sys.argv[1:]
    swarm = Swarm(address, int(workers), int(rounds), psutil.Process(int(pid)))
    print(json.dumps(asdict(swarm.run())))


if __name__ == "__main__":
    main()
