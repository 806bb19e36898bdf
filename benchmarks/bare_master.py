"""A master that decides nothing: real workers, and what takes their results as quickly as it can.

It sends each round's model, unpacks what comes, and adds it up: no states, checks, stop rules,
decoders, records or steps. So it shows what a master in Python cannot get below with the workers
that a run has.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import msgpack
import numpy as np
import zmq

from erasurehead.network import sockets
from erasurehead.settings.tree import WorkerSettings
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import TO_MASTER, Hello, Ready, Step, Stop, ToWorker
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.machine.plan import RunPlan

PATIENCE_MS = 60_000


class BareMaster:
    """Knows its workers, and sends them rounds.

    Parameters
    ----------
    plan: of the run whose workers these are.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.rcvtimeo = PATIENCE_MS
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._address = f"tcp://127.0.0.1:{port}"
        self._peers: dict[bytes, int] = {}
        """How many values each ready worker's models have."""
        self._packer = plan.vector_format.packer(np.random.default_rng(0))

    def run(self, rounds: int, warm_up: int) -> tuple[float, float]:
        """Return seconds a round, and seconds of this process's processor, all its threads."""
        slots = range(self._plan.code.n_workers)
        with LocalCluster(turns=0) as cluster:
            named = [WorkerSettings(connect=self._address, name=f"w{i}", slot=i) for i in slots]
            cluster.start(named)
            self._gather(len(slots))
            times, cpu_s = [], 0.0
            for round_ in range(1, rounds + warm_up + 1):
                if round_ == warm_up + 1:
                    cpu_s = time.process_time()
                start = time.perf_counter()
                self._round(round_)
                times.append(time.perf_counter() - start)
            cpu_s = time.process_time() - cpu_s
            for peer in self._peers:
                self._send(peer, Stop("finished", "all rounds done"))
        self._context.destroy(linger=0)
        return statistics.fmean(times[warm_up:]), cpu_s / rounds

    def _gather(self, n_workers: int) -> None:
        while len(self._peers) < n_workers:
            peer, *frames = self._socket.recv_multipart()
            message = decode(frames, TO_MASTER)
            if isinstance(message, Hello):
                assert message.slot is not None
                self._send(peer, self._plan.assign(message.slot, 0))
            elif isinstance(message, Ready):
                support = message.support
                self._peers[peer] = self._plan.n_parameters if support is None else len(support)

    def _round(self, round_: int) -> None:
        by_length: dict[int, Any] = {}
        for peer, length in self._peers.items():
            if length not in by_length:
                model = self._packer.pack(np.zeros(length))
                by_length[length] = encode(Step(0, round_, model))
            sockets.send(self._socket, [peer, *by_length[length]])
        waiting, total = len(self._peers), 0.0
        while waiting:
            _, *received = self._socket.recv_multipart(copy=False)
            header = msgpack.unpackb(received[0].buffer)
            if header["kind"] == "result" and header["round"] == round_:
                waiting -= 1
                total += sum(added_up(vector, received) for vector in header["vectors"])
        assert np.isfinite(total)

    def _send(self, peer: bytes, message: ToWorker) -> None:
        sockets.send(self._socket, [peer, *encode(message)])


def added_up(vector: list[Any], frames: list[zmq.Frame]) -> float:
    """Return the sum of a vector's first array, believing every word of its message."""
    dtype, where = vector[2:4]
    raw = where if isinstance(where, bytes) else frames[where].buffer
    return float(np.frombuffer(raw, dtype).sum())
