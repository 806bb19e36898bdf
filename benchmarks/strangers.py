"""Does a port scanner's worst day slow a run, and what does encryption cost?

    python benchmarks/strangers.py [--rounds 300] [--half-open 2000] [--repeats 3]

Runs of the same seed over eight worker processes, in turn: without keys, with keys, and with keys
while strangers hold half-open connections (as many as asked for, opened anew when they expire), and
send HTTP requests, garbage, and greetings without a key and under a wrong one. Printed: the median
time of a round of each, the ratios, how many attempts were counted, and every byte that a stranger
got beyond ZeroMQ's own greeting (there must be none).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import zmq
from plain import PLAIN

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.network.curve import WorkerKeys, make_keys, read_public, read_secret
from erasurehead.network.sockets import connect_dealer
from erasurehead.records import Observer, RoundRecord, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from erasurehead.wire.frames import encode
from erasurehead.wire.messages import PROTOCOL_VERSION, Hello
from erasurehead_local.address import LOOPBACK
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.machine.events import Event
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.shell.listening import read_keys
from erasurehead_master.shell.loop import Watched
from erasurehead_master.shell.main import host

WORKERS = 8
WARM_UP = 20
GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE".ljust(64, b"\0")
SAYINGS = (
    b"",
    b"",
    b"",
    b"GET /model HTTP/1.1\r\nHost: x\r\n\r\n",
    os.urandom(300),
    GREETING,
)


class Watch(Observer):
    """Keeps round times."""

    def __init__(self) -> None:
        self.durations: list[float] = []

    def round_over(self, record: RoundRecord) -> None:
        self.durations.append(record.duration_s)


def be_a_nuisance(port: int, keys: Path, half_open: int) -> None:
    """Hold so many connections until standard input ends; print every byte that was too much."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    wrong = WorkerKeys(read_secret(keys / "stranger.key"), read_public(keys / "master.pub"))
    hello = encode(Hello(PROTOCOL_VERSION, "w1", "1", "h", slot=1))
    callers = [
        connect_dealer(context, f"tcp://127.0.0.1:{port}", identity=b"s%d" % i, keys=k)
        for i, k in enumerate((None, wrong) * 5)
    ]
    received: dict[socket.socket, bytes] = {}
    too_much = b""
    n = 0
    while True:
        while len(received) < half_open:
            n += 1
            try:
                stranger = socket.create_connection(("127.0.0.1", port), timeout=5)
                stranger.sendall(SAYINGS[n % len(SAYINGS)])
            except OSError:
                break
            stranger.setblocking(False)
            received[stranger] = b""
            selector.register(stranger, selectors.EVENT_READ)
        for key, _ in selector.select(0.05):
            if key.fileobj is sys.stdin:
                for stranger in received:
                    stranger.close()
                for caller in callers:
                    caller.close(0)
                print(n, len(too_much))
                return
            assert isinstance(key.fileobj, socket.socket)
            stranger = key.fileobj
            with contextlib.suppress(OSError):
                if read := stranger.recv(4096):
                    received[stranger] += read
                    continue
            got = received.pop(stranger)
            too_much += got[64:] if GREETING.startswith(got[:64]) else got
            selector.unregister(stranger)
            stranger.close()
        for caller in callers:
            with contextlib.suppress(zmq.Again):
                caller.send_multipart(hello, zmq.NOBLOCK)
            if caller.poll(0):
                too_much += b"".join(caller.recv_multipart())


def run(
    store: Path, keys: Path | None, half_open: int, given: argparse.Namespace
) -> tuple[float, RunSummary, str]:
    """Train once; return the median time of a round, the summary and what strangers report."""
    tree: dict[str, object] = {
        **PLAIN,
        "store": str(store),
        "workers": WORKERS,
        "scheme": "agc:c=2,r=6",
        "rounds": given.rounds,
        "step": "0.5",
        "delay": given.delay,
        "evaluate_every_rounds": given.rounds,
        # Room for all of them: the limit would spare the master most of the work.
        "limits": {"handshake_s": 5.0, "max_connections": given.half_open + 1000},
    }
    worker_keys: dict[str, object] = {}
    if keys is not None:
        tree["keys"] = {"secret": keys / "master.key", "workers": keys / "allowed"}
        worker_keys = {"secret": keys / "worker.key", "master": keys / "master.pub"}
    settings = load(MasterSettings, tree, environment={})
    opened = Store.open(str(store))
    planned = PlannedRun.of(settings, opened, str(store))
    strangers: list[subprocess.Popen[str]] = []
    watch = Watch()
    with LocalCluster("ERROR") as cluster:

        def attach(address: str) -> Watched:
            if half_open and keys is not None:
                port = address.rpartition(":")[2]
                command = [sys.executable, __file__, "--nuisance", port, str(keys), str(half_open)]
                pipe = subprocess.PIPE
                strangers.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
                time.sleep(3)  # let them all connect first
            cluster.start(
                [
                    WorkerSettings(connect=address, name=f"w{i}", slot=i, keys=worker_keys)
                    for i in range(WORKERS)
                ]
            )
            return cluster.fileno(), departures

        def departures() -> list[Event]:
            cluster.poll()
            return []

        begun = time.monotonic()
        summary = host(planned, LOOPBACK, [watch], begun, attach, keys=read_keys(settings.keys))
    report = ""
    for process in strangers:
        report, _ = process.communicate("")
    return statistics.median(watch.durations[WARM_UP:]), summary, report.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--half-open", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--columns", type=int, default=20_000)
    parser.add_argument("--delay", default="exponential:mean_s=0.05")
    given = parser.parse_args(arguments)
    times: dict[str, list[float]] = {"open": [], "keys": [], "strangers": []}
    with tempfile.TemporaryDirectory() as directory:
        options = {"rows": "4000", "columns": str(given.columns), "nnz": "20", "seed": "3"}
        store = prepare(
            "synthetic", source=None, out=Path(directory) / "store", options=options
        ).path
        keys = Path(directory) / "keys"
        for name in ("master", "worker", "stranger"):
            _, public = make_keys(keys, name)
            if name == "worker":
                (keys / "allowed").mkdir()
                (keys / "allowed" / public.name).write_bytes(public.read_bytes())
        for _ in range(given.repeats):
            times["open"].append(run(store, None, 0, given)[0])
            times["keys"].append(run(store, keys, 0, given)[0])
            median_s, summary, report = run(store, keys, given.half_open, given)
            times["strangers"].append(median_s)
            attempts, too_much = report.split()
            print(
                f"strangers: {attempts} connections, {too_much} bytes too much; {summary.refused}"
            )
    best = {name: min(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:10} {' '.join(f'{1e3 * v:8.2f}' for v in values)} ms a round (median)")
    print(f"keys / open       {best['keys'] / best['open']:.3f}")
    print(f"strangers / keys  {best['strangers'] / best['keys']:.3f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--nuisance"]:
        be_a_nuisance(int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
