"""A master that decides nothing: real workers, and what takes their results as quickly as it can.

    python benchmarks/bare_master.py STORE ADDRESS WORKERS ROUNDS

It sends each round's model, unpacks what comes, and adds it up: no states, checks, stop rules,
decoders, records or steps. So it shows what a master in Python cannot get below with the workers
that a run has. overhead.py starts the workers itself; the command waits for those of swarm.py.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import zmq
from plain import PLAIN

from erasurehead.datasets.store import Store
from erasurehead.network import sockets
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings, WorkerSettings
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import TO_MASTER, Hello, Ready, Step, Stop, ToWorker
from erasurehead_local.address import own_address
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.planning import make_plan

PATIENCE_MS = 60_000


class BareMaster:
    """Knows its workers, and sends them rounds.

    Parameters
    ----------
    plan: of the run whose workers these are.
    address: to bind; its port may be `*`.
    """

    def __init__(self, plan: RunPlan, address: str) -> None:
        self._plan = plan
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.rcvtimeo = PATIENCE_MS
        self._socket.setsockopt(zmq.BACKLOG, 1024)
        self._socket.bind(address)
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._peers: dict[bytes, int] = {}
        """How many values each ready worker's models have."""
        self._packer = plan.vector_format.packer(np.random.default_rng(0))

    def gather(self) -> None:
        """Give every slot to a worker, and wait until all have their rows."""
        free = list(range(self._plan.code.n_workers))
        while len(self._peers) < self._plan.code.n_workers:
            peer, *frames = self._socket.recv_multipart()
            message = decode(frames, TO_MASTER)
            if isinstance(message, Hello):
                self._send(peer, self._plan.assign(free.pop(0), 0))
            elif isinstance(message, Ready):
                support = message.support
                self._peers[peer] = self._plan.n_parameters if support is None else len(support)

    def round(self, round_: int) -> None:
        """Send a round, and take a result of each worker."""
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

    def end(self) -> None:
        """Let the workers go."""
        for peer in self._peers:
            self._send(peer, Stop("finished", "all rounds done"))
        self._context.destroy(linger=sockets.LINGER_MS)

    def _send(self, peer: bytes, message: ToWorker) -> None:
        sockets.send(self._socket, [peer, *encode(message)])


def bare_rounds(plan: RunPlan, rounds: int, warm_up: int) -> tuple[float, float]:
    """Return what a round takes with worker processes that are started here.

    Seconds, and seconds of this process's processor, all its threads.
    """
    master = BareMaster(plan, own_address())
    with LocalCluster(turns=0) as cluster:
        slots = range(plan.code.n_workers)
        cluster.start([WorkerSettings(connect=master.address, name=f"w{i}") for i in slots])
        master.gather()
        times, cpu_s = [], 0.0
        for round_ in range(1, rounds + warm_up + 1):
            if round_ == warm_up + 1:
                cpu_s = time.process_time()
            start = time.perf_counter()
            master.round(round_)
            times.append(time.perf_counter() - start)
        cpu_s = time.process_time() - cpu_s
        master.end()
    return statistics.fmean(times[warm_up:]), cpu_s / rounds


def added_up(vector: list[Any], frames: list[zmq.Frame]) -> float:
    """Return the sum of a vector's first array, believing every word of its message."""
    dtype, where = vector[2:4]
    raw = where if isinstance(where, bytes) else frames[where].buffer
    return float(np.frombuffer(raw, dtype).sum())


def main() -> None:
    """Serve the workers of one run."""
    path, address, workers, rounds = sys.argv[1:]
    given = {**PLAIN, "store": path, "scheme": "uncoded", "workers": int(workers)}
    settings = load(RunSettings, {**given, "rounds": int(rounds)}, environment={})
    plan = make_plan(settings, Store.open(Path(path)), path)
    master = BareMaster(plan, address)
    master.gather()
    for round_ in range(1, int(rounds) + 1):
        master.round(round_)
    master.end()


if __name__ == "__main__":
    main()
