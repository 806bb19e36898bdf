"""Metrics and health of a real run: master and workers as processes, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from erasurehead.datasets.prepare import prepare
from erasurehead.runs import recorded_rounds
from tests.support.scraped_metrics import free_port
from tests.support.when_asked import Asking

LIMIT_S = 60.0


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    return ask(port, "/readyz")[0] == 200


def samples(port: int) -> dict[tuple[str, str], float]:
    """Return values by (sample name, its worker label)."""
    _, body = ask(port, "/metrics")
    return {
        (sample.name, sample.labels.get("worker", "")): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def eventually(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "600", "columns": "200", "nnz": "6", "labels": "two-classes", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


def test_a_run_can_be_watched_and_rests_when_it_is_over(store: Path, tmp_path: Path) -> None:
    """1. A master and two workers serve HTTP. 2. All are healthy and ready, and their numbers move.
    3. The run ends; the master lingers: healthy, not ready, with its last numbers. 4. SIGTERM ends
    it with code 0. 5. Started again with --resume it has nothing to do, and rests at once.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ERASUREHEAD_")}
    ports = [free_port() for _ in range(4)]
    wire = f"tcp://127.0.0.1:{ports[3]}"
    command = [sys.executable, "-m", "erasurehead_cli"]
    processes = [
        subprocess.Popen(
            [*command, "worker", "--connect", wire, "--http-bind", str(port), "--name", f"w{port}"],
            env=environment,
        )
        for port in ports[:2]
    ]
    asking = Asking(tmp_path)
    options = f"--bind {wire} --http-bind {ports[2]} --http-linger --workers 2"
    options += " --scheme uncoded --delay exponential:mean_s=0.01 --quiet --out"
    started = [*command, "master", str(store), *asking.options, *options.split()]
    started.append(str(tmp_path / "run"))
    master = subprocess.Popen(started, env=environment)
    processes.append(master)
    try:
        for port in ports[:3]:
            eventually(partial(is_ready, port))
            assert ask(port, "/healthz")[0] == 200
        count = ("erasurehead_round_duration_seconds_count", "")
        eventually(lambda: samples(ports[2]).get(count, 0) > 5)
        numbers = samples(ports[2])
        assert numbers["erasurehead_slots", ""] == 2
        assert numbers["erasurehead_arrival_seconds_count", "0"] > 0
        of_worker = samples(ports[0])
        slot = json.loads(ask(ports[0], "/readyz")[1])["slot"]
        assert of_worker["erasurehead_worker_results_total", str(slot)] > 0
        assert of_worker["erasurehead_worker_compute_seconds_total", str(slot)] > 0
        asking.enough()
        eventually(lambda: "finished" in ask(ports[2], "/readyz")[1])
        status, about = ask(ports[2], "/readyz")
        last = json.loads(about)["round"]
        assert status == 503
        assert last > 5
        assert ask(ports[2], "/healthz")[0] == 200
        eventually(lambda: samples(ports[2]).get(("erasurehead_exit_code", "")) == 0.0)
        assert samples(ports[2])[count] == last == recorded_rounds(tmp_path / "run")
        for worker in processes[:2]:
            assert worker.wait(LIMIT_S) == 0
        assert master.poll() is None
        master.send_signal(signal.SIGTERM)
        assert master.wait(LIMIT_S) == 0
        again = subprocess.Popen([*started, "--resume"], env=environment)
        processes.append(again)
        eventually(lambda: ask(ports[2], "/healthz")[0] == 200)
        assert "finished" in ask(ports[2], "/readyz")[1]
        again.send_signal(signal.SIGTERM)
        assert again.wait(LIMIT_S) == 0
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def test_without_an_address_nothing_listens_and_nothing_is_loaded_or_started_for_it(
    store: Path, tmp_path: Path
) -> None:
    script = (
        "import sys, threading\n"
        "from erasurehead.settings.sources import load\n"
        "from erasurehead.settings.tree import RunSettings\n"
        "from erasurehead.records import Observer\n"
        "from erasurehead_local.train import train\n"
        "class Watch(Observer):\n"
        "    def round_over(self, record):\n"
        "        names = {thread.name for thread in threading.enumerate()}\n"
        "        assert names == {'MainThread', 'gate'}, names\n"
        "        unused = {'prometheus_client', 'ssl', 'http.client', 'matplotlib'}\n"
        "        assert not unused & set(sys.modules)\n"
        "given = {'store': sys.argv[1], 'workers': 2, 'rounds': 3, 'scheme': 'uncoded'}\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(train(load(RunSettings, given, environment={}), [Watch()]).exit_code)\n"
    )
    path = tmp_path / "run.py"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path), str(store)], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr


def test_sigterm_ends_a_run_that_is_not_over_at_once(store: Path, tmp_path: Path) -> None:
    """Resting is for finished runs; one that was asked to end must not wait to be asked again."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ERASUREHEAD_")}
    ports = [free_port() for _ in range(2)]
    wire = f"tcp://127.0.0.1:{ports[1]}"
    command = [sys.executable, "-m", "erasurehead_cli"]
    worker = subprocess.Popen([*command, "worker", "--connect", wire], env=environment)
    options = f"--bind {wire} --http-bind {ports[0]} --http-linger --workers 1 --rounds 100000"
    options += " --until none"
    options += " --scheme uncoded --delay exponential:mean_s=0.01 --quiet --out"
    master = subprocess.Popen(
        [*command, "master", str(store), *options.split(), str(tmp_path / "run")],
        env=environment,
    )
    try:
        eventually(lambda: samples(ports[0]).get(("erasurehead_round", ""), 0) > 5)
        master.send_signal(signal.SIGTERM)
        assert master.wait(LIMIT_S) == 0
        assert worker.wait(LIMIT_S) == 0
    finally:
        for process in (master, worker):
            process.kill()
            process.wait()
