"""How much does a round cost beyond moving its bytes and computing its gradients?

    python benchmarks/overhead.py STORE [--workers 30] [--rounds 300] [--scheme uncoded]
    python benchmarks/overhead.py STORE --against CHECKOUT [--alternations 5]

Floor: a bare pyzmq ROUTER/DEALER exchange between as many processes, of frames of the same sizes,
over the same kind of address, with no decoding and no arithmetic, measured in the same run before
and after. Arithmetic: the gradients of all slots computed one after another in one process, each
slot's rows having left the caches since its last turn as they do in a run, divided by the cores.
Plain: the same exchange with nothing but that arithmetic, msgpack and a sum at the master, so
without states, checks, stop rules, decoders or records: what processes in Python cannot get below
here. Both are also measured over TCP, which workers of other machines come by. Bare master: the
run's own workers, and a master that only receives, unpacks, sums and sends (bare_master.py).

With --against, another checkout of this repository makes the same run in turns with this one, and
the medians and their ratios are printed instead: round, CPU, start and memory. The older of the two
must have prepared the store: it cannot read a manifest of a later format.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
import numpy.typing as npt
import zmq
from against import compare, print_ratios
from bare_master import bare_rounds
from plain import PLAIN

from erasurehead.datasets.store import Store
from erasurehead.models.partial_sums import PartialSums
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.frames import encode
from erasurehead.wire.messages import Result, Step
from erasurehead_local.address import LOOPBACK, own_address
from erasurehead_local.train import train
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.planning import make_plan
from erasurehead_worker.machine.actions import Load
from erasurehead_worker.shell.rows import RowSource

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


Compute = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def echo(address: str, number: int, frames: Sequence[bytes], compute: Compute | None) -> None:
    """A worker that answers every message with the same frames, or with a gradient."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(address)
    socket.send(b"%d" % number)
    while True:
        received = socket.recv_multipart(copy=False)
        if len(received[0]) == 0:
            return
        answer = frames
        if compute is not None:
            header = msgpack.unpackb(received[0].buffer)
            values = compute(unpack(header["model"], received))
            answer = pack(header, values, frames)
        socket.send_multipart(answer, copy=False, copy_threshold=1 << 16)


def unpack(vector: Sequence[Any], frames: Sequence[zmq.Frame]) -> npt.NDArray[np.float64]:
    """Return a vector of a message in f8 or f4, believing every word of it."""
    _, _, dtype, where = vector
    raw = where if isinstance(where, bytes) else frames[where].buffer
    return np.frombuffer(raw, dtype).astype(np.float64, copy=False)


def pack(
    header: dict[str, Any], values: npt.NDArray[np.float64], like: Sequence[bytes]
) -> Sequence[Any]:
    """Return the frames of a result in the format of the model, in as many frames as `like`."""
    name, _, dtype, _ = header["model"]
    sent = values.astype(dtype, copy=False)
    inline = len(like) == 1
    vectors = [(name, len(sent), dtype, sent.tobytes() if inline else 1)]
    packed = msgpack.packb({**RESULT, "round": header["round"], "vectors": vectors})
    return [packed] if inline else [packed, sent.data]


RESULT = {"kind": "result", "epoch": 0, "slot": 0, "part": 0, "loss": [0.0], "compute_s": 0.1}


class Exchange(NamedTuple):
    """What a round took: seconds, and seconds of the master's processor, all its threads."""

    round_s: float
    cpu_s: float


def exchange(
    steps: Sequence[Sequence[bytes]],
    results: Sequence[Sequence[bytes]],
    rounds: int,
    computations: Sequence[Compute] | None = None,
    address: str | None = None,
) -> Exchange:
    """Return what a bare round takes: one message to each worker, one back.

    `address` is where the master listens; None: where that of a local run does.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.RCVTIMEO, 60_000)
    socket.bind(address or own_address())
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    fork = get_context("fork")
    workers = []
    for i, frames in enumerate(results):
        compute = None if computations is None else computations[i]
        args = (endpoint, i, frames, compute)
        workers.append(fork.Process(target=echo, args=args, daemon=True))
    for worker in workers:
        worker.start()
    peers = [b""] * len(workers)
    for _ in workers:
        peer, number = socket.recv_multipart()
        peers[int(number)] = peer
    times = []
    cpu_s = 0.0
    for round_ in range(rounds + WARM_UP):
        if round_ == WARM_UP:
            cpu_s = time.process_time()
        start = time.perf_counter()
        for peer, frames in zip(peers, steps, strict=True):
            socket.send_multipart([peer, *frames], copy=False, copy_threshold=1 << 16)
        norm = 0.0
        for _ in workers:
            _, *received = socket.recv_multipart(copy=False)
            if computations is not None:
                header = msgpack.unpackb(received[0].buffer)
                norm += float(unpack(header["vectors"][0], received).sum())
        times.append(time.perf_counter() - start)
    cpu_s = time.process_time() - cpu_s
    for peer in peers:
        socket.send_multipart([peer, b""])
    for worker in workers:
        worker.join()
    socket.close()
    context.term()
    return Exchange(statistics.fmean(times[WARM_UP:]), cpu_s / rounds)


def worker_sums(load: Load) -> PartialSums:
    """Return what a worker holds for an assignment."""
    for sums in RowSource().read(load):
        if sums is not None:
            return sums
    raise AssertionError("read() always ends with the sums")


def gradient(sums: PartialSums, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the only vector of a worker's coded gradient, shape (support,)."""
    computation = sums.gradient(0, theta, 1)
    while not computation.advance():
        pass
    values: npt.NDArray[np.float64] = computation.values[0]
    return values


@dataclass(frozen=True)
class Messages:
    """What a bare exchange sends, for each slot.

    Attributes
    ----------
    steps, results: frames of a run's own sizes.
    computations: of the slot's gradient at a model of `lengths` values.
    """

    steps: list[list[bytes]] = field(default_factory=list)
    results: list[list[bytes]] = field(default_factory=list)
    computations: list[Compute] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


def messages_of(plan: RunPlan) -> Messages:
    """Make the messages of a round, from each slot's own rows."""
    made = Messages()
    for slot in range(plan.code.n_workers):
        sums = worker_sums(Load(plan.assign(slot, 0), plan.model))
        theta = np.zeros(plan.n_parameters if sums.support is None else len(sums.support))
        packer = plan.vector_format.packer(np.random.default_rng(0))
        step = Step(0, 1, packer.pack(theta))
        values = packer.pack(gradient(sums, theta))
        result = Result(0, 1, slot, 0, (values,), [0.0], 0.1, 0.0)
        made.steps.append([bytes(f) for f in encode(step)])
        made.results.append([bytes(f) for f in encode(result)])
        made.computations.append(partial(gradient, sums))
        made.lengths.append(len(theta))
    return made


def pass_s(messages: Messages) -> float:
    """Return the least time that all slots' gradients took one after another."""
    thetas = [np.zeros(length) for length in messages.lengths]
    passes = []
    for _ in range(7):
        start = time.perf_counter()
        for computation, theta in zip(messages.computations, thetas, strict=True):
            computation(theta)
        passes.append(time.perf_counter() - start)
    return min(passes)


def measure(given: argparse.Namespace) -> None:
    """Run and exchange in turns, and print."""
    settings = load(
        RunSettings,
        {
            **PLAIN,
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
    messages = messages_of(plan)
    cores = len(os.sched_getaffinity(0))
    arithmetic_s = pass_s(messages) / cores
    bare = partial(exchange, messages.steps, messages.results, given.rounds)
    before = bare()
    watch = Watch()
    train(settings, [watch])
    cpu_s = time.process_time() - watch.cpu_started_s
    after = bare()
    plain = bare(messages.computations)
    floor_tcp, plain_tcp = bare(None, LOOPBACK), bare(messages.computations, LOOPBACK)
    ideal = Exchange(*bare_rounds(plan, given.rounds, WARM_UP))
    floor = (before.round_s + after.round_s) / 2
    measured = watch.records[WARM_UP:]
    round_s = (measured[-1].closed_s - measured[0].opened_s) / len(measured)
    size = sum(len(f) for frames in messages.steps for f in frames) / given.workers
    print(
        f"store {given.store}: {plan.n_parameters} parameters, {given.workers} workers,"
        f" {plan.settings.coding.scheme}"
    )
    print(f"mean STEP {size / 1024:.1f} KiB; master's phases (ms a round):", end=" ")
    for phase in ("encode_s", "wait_s", "decode_s", "step_s"):
        mean = statistics.fmean(getattr(r, phase) for r in measured)
        print(f"{phase[:-2]} {mean * 1e3:.2f}", end="  ")
    print()
    print(
        f"floor       {floor * 1e3:9.3f} ms"
        f"  (before {before.round_s * 1e3:.3f}, after {after.round_s * 1e3:.3f})"
    )
    print(
        f"over TCP    {floor_tcp.round_s * 1e3:9.3f} ms"
        f"  ({floor_tcp.round_s / floor:.2f} times the floor; plain {plain_tcp.round_s * 1e3:.3f})"
    )
    print(f"arithmetic  {arithmetic_s * 1e3:9.3f} ms  (all slots / {cores} cores)")
    print(f"plain       {plain.round_s * 1e3:9.3f} ms")
    print(f"bare master {ideal.round_s * 1e3:9.3f} ms")
    print(f"full round  {round_s * 1e3:9.3f} ms")
    print(f"full / floor                       {round_s / floor:6.2f}")
    print(f"(full - arithmetic) / floor        {(round_s - arithmetic_s) / floor:6.2f}")
    print(f"full / plain                       {round_s / plain.round_s:6.2f}")
    print(f"full / bare master                 {round_s / ideal.round_s:6.2f}")
    bare_cpu_s, full_cpu_s = (before.cpu_s + after.cpu_s) / 2, cpu_s / len(watch.records)
    print("master's CPU per worker and round, us:", end=" ")
    for name, seconds in (
        ("floor", bare_cpu_s),
        ("plain", plain.cpu_s),
        ("bare master", ideal.cpu_s),
        ("full", full_cpu_s),
    ):
        print(f"{name} {seconds / given.workers * 1e6:.1f}", end="  ")
    print()


def measure_against(given: argparse.Namespace) -> None:
    """Run this checkout and another one in turns, and print."""
    arguments = [str(Path(given.store).resolve()), "--scheme", given.scheme]
    arguments += ["--workers", str(given.workers), "--rounds", str(given.rounds + WARM_UP)]
    arguments += ["--step", "0.01", "--evaluate-every-rounds", "1000000"]
    arguments += ["--optimizer", "gradient-descent", "--l2", "0"]
    print(f"{given.store}, {given.workers} workers, {given.scheme}")
    print_ratios(*compare(given.against.resolve(), arguments, given.alternations, WARM_UP))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--scheme", default="uncoded")
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--alternations", type=int, default=5)
    given = parser.parse_args()
    if given.against is None:
        measure(given)
    else:
        measure_against(given)


if __name__ == "__main__":
    main()
