"""`erasurehead master` and `erasurehead worker` as processes of their own, over TCP."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_OK, EXIT_REFUSED
from erasurehead.network.sockets import connect_dealer
from erasurehead.records import Observer, RunStart
from erasurehead.runs import Run
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import PROTOCOL_VERSION, TO_WORKER, Hello, Refuse
from erasurehead_local.train import train
from tests.support.scraped_metrics import free_port

LIMIT_S = 120
WORKERS = 2
SETTINGS = {"scheme": "egc:c=2", "workers": WORKERS, "rounds": 12, "step": "0.5", "seed": 4}

OTHER_VERSION = """
import sys
import erasurehead_worker.shell.main as worker
worker.PROTOCOL_VERSION += 1
from erasurehead_cli.main import main
sys.exit(main(sys.argv[1:]))
"""
ONE_MORE_KEY = """
import sys
import msgpack
import erasurehead_worker.shell.loop as loop
import erasurehead_worker.shell.main as worker
worker.PROTOCOL_VERSION += int(sys.argv.pop(1))
plain = loop.encode
def encode(message):
    first, *rest = plain(message)
    if message.kind == "hello":
        first = msgpack.packb({**msgpack.unpackb(first), "zone": "b"})
    return [first, *rest]
loop.encode = encode
from erasurehead_cli.main import main
sys.exit(main(sys.argv[1:]))
"""

Start = Callable[..., "subprocess.Popen[str]"]


class Model(Observer):
    """Keeps the model of a run in this process."""

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "600", "columns": "200", "nnz": "6", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


@pytest.fixture
def address() -> str:
    """An address on a port that was free a moment ago."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the command in a process; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, code: str | None = None) -> subprocess.Popen[str]:
        how = ["-m", "erasurehead_cli"] if code is None else ["-c", code]
        process = subprocess.Popen(
            [sys.executable, *how, *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def master_options(store: Path, address: str, out: Path) -> list[str]:
    chosen = [piece for key, value in SETTINGS.items() for piece in (f"--{key}", str(value))]
    return [
        *("master", str(store), "--bind", address, "--no-share-store", "--out", str(out)),
        *("--wire-chunk-bytes", "2048", *chosen),
    ]


def worker_options(address: str, name: str) -> list[str]:
    return ["worker", "--connect", address, "--name", name, "--retry-limit-s", str(LIMIT_S)]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=LIMIT_S)
    return process.returncode, output


def test_workers_without_the_store_train_the_same_model(
    store: Path, address: str, start: Start, tmp_path: Path
) -> None:
    """1. Workers start first and wait. 2. The master comes, streams their rows and trains.
    3. Everybody ends in order. 4. The model is that of a run on this machine.
    """
    workers = [start(*worker_options(address, f"w{i}")) for i in range(WORKERS)]
    master = start(*master_options(store, address, tmp_path / "run"))
    code, output = ended(master)
    assert code == EXIT_OK, output
    for worker in workers:
        code, output = ended(worker)
        assert code == EXIT_OK, output
        assert "asking the master for my rows" in output
        assert "Traceback" not in output

    local = Model()
    summary = train(load(RunSettings, {"store": str(store), **SETTINGS}, environment={}), [local])
    assert summary.exit_code == EXIT_OK
    with np.load(tmp_path / "run" / "model.npz") as saved:
        theta = saved["theta"]
    assert theta.any()
    np.testing.assert_allclose(theta, local.theta, rtol=1e-12, atol=1e-15)
    assert len(Run.open(tmp_path / "run").records) == SETTINGS["rounds"]


def test_kept_rows_serve_the_next_run(
    store: Path, address: str, start: Start, tmp_path: Path
) -> None:
    """1. A run streams rows, which the workers keep. 2. The next run's workers need not ask."""
    for attempt, asks in enumerate([True, False]):
        master = start(*master_options(store, address, tmp_path / f"run-{attempt}"))
        workers = [
            start(
                *worker_options(address, f"w{i}"),
                *("--slot", str(i), "--cache", str(tmp_path / f"cache-{i}")),
            )
            for i in range(WORKERS)
        ]
        code, output = ended(master)
        assert code == EXIT_OK, output
        for worker in workers:
            code, output = ended(worker)
            assert code == EXIT_OK, output
            assert ("asking the master for my rows" in output) is asks


def test_a_worker_of_another_protocol_version_is_refused(
    store: Path, address: str, start: Start, tmp_path: Path
) -> None:
    """1. It is told why in one sentence and exits with 5. 2. So is one of a later version, or of
    another build of this one, that says more than this master knows. 3. So is whoever greets
    with nonsense. 4. The master goes on; asked to end before any worker came, it ends in order.
    """
    master = start(*master_options(store, address, tmp_path / "run"))
    other = start(*worker_options(address, "other"), "--quiet", code=OTHER_VERSION)
    code, output = ended(other)
    assert code == EXIT_REFUSED, output
    # On a busy machine it also says that nobody has answered yet.
    (line,) = [line for line in output.splitlines() if "speaks protocol" in line]
    assert f"speaks protocol {PROTOCOL_VERSION}" in line
    assert f"the worker {PROTOCOL_VERSION + 1}" in line
    assert "install the same version" in line

    for raised, words in ((1, f"the worker {PROTOCOL_VERSION + 1};"), (0, "unknown field `zone`")):
        code, output = ended(start(str(raised), *worker_options(address, "w"), code=ONE_MORE_KEY))
        assert code == EXIT_REFUSED, output
        (line,) = [line for line in output.splitlines() if "speaks protocol" in line]
        assert f"this master speaks protocol {PROTOCOL_VERSION}" in line
        assert words in line
        assert "install the same version" in line

    code, output = ended(start(*worker_options(address, "x" * 300), "--quiet"))
    assert code == EXIT_REFUSED, output
    assert "hello: Expected `str` of length <= 256" in output

    refusal = greeted(address, Hello(PROTOCOL_VERSION + 7, "by hand", "0.0", "host"))
    assert refusal.code == "wrong-version"
    assert str(PROTOCOL_VERSION + 7) in refusal.reason

    assert master.poll() is None
    master.send_signal(signal.SIGTERM)
    code, output = ended(master)
    assert code == EXIT_OK, output
    assert "Traceback" not in output


def greeted(address: str, hello: Hello) -> Refuse:
    """Say hello and return what the master answers."""
    with zmq.Context() as context, connect_dealer(context, address, identity=b"x") as dealer:
        dealer.send_multipart(encode(hello))
        assert dealer.poll(LIMIT_S * 1000), "no answer"
        answer = decode(dealer.recv_multipart(), TO_WORKER)
    assert isinstance(answer, Refuse)
    return answer


def test_whoever_is_asked_to_end_before_its_run_is_done_says_so_by_the_code_it_was_given(
    store: Path, address: str, start: Start, tmp_path: Path
) -> None:
    """A Kubernetes Job takes a pod that ends with 0 for done, and never starts it again."""
    code = ("--unfinished-code", "75")
    out = tmp_path / "run"
    options = [*master_options(store, address, out), "--rounds", "1000000", "--until", "none"]
    options.append("--resume")
    master = start(*options, "--scheme", "agc:c=2,r=1", *code)
    workers = [start(*worker_options(address, f"w{i}"), *code) for i in range(WORKERS)]
    until_rounds(out, 1)
    workers[0].send_signal(signal.SIGTERM)
    assert ended(workers[0])[0] == 75
    master.send_signal(signal.SIGTERM)
    assert ended(master)[0] == 75
    last = start(*options, "--scheme", "agc:c=2,r=1", *code, "--rounds", "1")
    assert ended(last)[0] == EXIT_OK, "its run is done"


def until_rounds(out: Path, n: int) -> None:
    """Wait until so many rounds are recorded."""
    records = out / "rounds.jsonl"
    until = time.monotonic() + LIMIT_S
    while not records.exists() or records.read_bytes().count(b"\n") < n:
        assert time.monotonic() < until, "the run did not begin"
        time.sleep(0.02)
