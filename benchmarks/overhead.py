"""How much does a round cost beyond moving its bytes and computing its gradients?

    python benchmarks/overhead.py STORE [--workers 30] [--rounds 300] [--scheme uncoded]

Floor: a bare pyzmq ROUTER/DEALER exchange between as many processes, of frames of the same sizes,
with no decoding and no arithmetic, measured in the same run before and after. Arithmetic: the
gradients of all slots computed one after another in one process, divided by the cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from multiprocessing import get_context

import numpy as np
import zmq

from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.settings import RunSettings, load
from erasurehead.wire.frames import encode
from erasurehead.wire.messages import Result, Step
from erasurehead_local.training import train
from erasurehead_master.plan import make_plan
from erasurehead_simulator.arithmetic import RealArithmetic

WARM_UP = 20


class Watch(Observer):
    """Keeps what the comparison needs."""

    def __init__(self) -> None:
        self.records: list[RoundRecord] = []
        self.cpu_started_s = 0.0

    def started(self, start: RunStart) -> None:
        self.cpu_started_s = time.process_time()

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)


def echo(address: str, size_out: int, frames: Sequence[bytes]) -> None:
    """A worker that answers every message with the same frames."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(address)
    socket.send(b"")
    while True:
        received = socket.recv_multipart(copy=False)
        if len(received[0]) == 0:
            return
        socket.send_multipart(frames, copy=False, copy_threshold=1 << 16)


def floor_s(
    steps: Sequence[Sequence[bytes]], results: Sequence[Sequence[bytes]], rounds: int
) -> float:
    """Return the seconds of a bare round: one message to each worker, one back."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    fork = get_context("fork")
    workers = [
        fork.Process(target=echo, args=(f"tcp://127.0.0.1:{port}", 0, frames)) for frames in results
    ]
    for worker in workers:
        worker.start()
    peers = [socket.recv_multipart()[0] for _ in workers]
    times = []
    for _ in range(rounds + WARM_UP):
        start = time.perf_counter()
        for peer, frames in zip(peers, steps, strict=True):
            socket.send_multipart([peer, *frames], copy=False, copy_threshold=1 << 16)
        for _ in workers:
            socket.recv_multipart(copy=False)
        times.append(time.perf_counter() - start)
    for peer in peers:
        socket.send_multipart([peer, b""])
    for worker in workers:
        worker.join()
    socket.close()
    context.term()
    return statistics.fmean(times[WARM_UP:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--scheme", default="uncoded")
    given = parser.parse_args()
    settings = load(
        RunSettings,
        {
            "store": given.store,
            "scheme": given.scheme,
            "workers": given.workers,
            "rounds": given.rounds + WARM_UP,
            "step": "0.01",
            "evaluate_every_rounds": 10**6,
        },
        environment={},
    )
    store = Store.open(given.store)
    plan = make_plan(settings, store, str(store.path))
    arithmetic = RealArithmetic(store.train)
    steps, results, spent_s = [], [], 0.0
    for slot in range(given.workers):
        assign = plan.assign(slot, 0)
        _, support = arithmetic.load(assign)
        width = plan.columns if support is None else len(support)
        step = Step(0, 1, np.zeros(width))
        arithmetic.gradient(assign, step, 0)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            values, loss = arithmetic.gradient(assign, step, 0)
            times.append(time.perf_counter() - start)
        spent_s += statistics.median(times)
        steps.append([bytes(f) for f in encode(step)])
        results.append(
            [bytes(f) for f in encode(Result(0, 1, slot, 0, values, loss.tolist(), 0.1, 0.0))]
        )
    cores = len(os.sched_getaffinity(0))
    before = floor_s(steps, results, given.rounds)
    watch = Watch()
    train(settings, [watch])
    cpu_s = time.process_time() - watch.cpu_started_s
    after = floor_s(steps, results, given.rounds)
    floor = (before + after) / 2
    measured = watch.records[WARM_UP:]
    round_s = (measured[-1].closed_s - measured[0].opened_s) / len(measured)
    arithmetic_s = spent_s / cores
    size = sum(len(f) for frames in steps for f in frames) / given.workers
    print(f"store {given.store}: {plan.columns} columns, {given.workers} workers, {plan.scheme}")
    print(f"mean STEP {size / 1024:.1f} KiB; master's phases (ms a round):", end=" ")
    for phase in ("encode_s", "wait_s", "decode_s", "step_s"):
        mean = statistics.fmean(getattr(r, phase) for r in measured)
        print(f"{phase[:-2]} {mean * 1e3:.2f}", end="  ")
    print()
    print(
        f"floor       {floor * 1e3:9.3f} ms  (before {before * 1e3:.3f}, after {after * 1e3:.3f})"
    )
    print(f"arithmetic  {arithmetic_s * 1e3:9.3f} ms  (all slots / {cores} cores)")
    print(f"full round  {round_s * 1e3:9.3f} ms")
    print(f"full / floor                       {round_s / floor:6.2f}")
    print(f"(full - arithmetic) / floor        {(round_s - arithmetic_s) / floor:6.2f}")
    per_message_us = cpu_s / len(watch.records) / given.workers * 1e6
    print(f"master CPU per worker and round    {per_message_us:6.1f} us")


if __name__ == "__main__":
    main()
