"""A Docker engine, images and a compose project that are gone afterwards."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.deploy_tools import ROOT, find

PROJECT = "erasurehead-test"
BASE_IMAGE = "python:3.11-slim"

SETTINGS = {
    # Three groups of two: with both workers of a group gone a third of the tasks is erased.
    "SCHEME": "agc:c=2,r=4",
    "WORKERS": "6",
    "ROUNDS": "100000",
    "DELAY": "exponential:mean_s=0.1",
    "EVALUATE_EVERY": "5",
    "CHECKPOINT_EVERY_S": "3",
    "WORKER_CPUS": "0.3",
    "RUN": "test",
}


class Engine:
    """An engine to give orders to.

    Parameters
    ----------
    host: its address, as DOCKER_HOST has it.
    """

    def __init__(self, host: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.prometheus_port = int(listener.getsockname()[1])
        compose = find("docker-compose")
        if compose is None:
            pytest.skip("docker-compose is not installed (.ci/deploy-tools.sh installs it)")
        self._compose = [compose, "--project-name", PROJECT, "--file", "docker-compose.yml"]
        # Debian's client beside Debian's engine: another one on the path may be too new for it.
        client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker")
        assert client is not None
        self._client = client
        self._environment = {
            **os.environ,
            **SETTINGS,
            "PATH": f"{Path(client).parent}:{os.environ['PATH']}",
            "DOCKER_HOST": host,
            "DOCKER_SOCKET": host.removeprefix("unix://"),
            "PROMETHEUS_PORT": str(self.prometheus_port),
        }

    def variant(self, *overlays: str, **settings: str) -> Engine:
        """Return the same engine and project with further compose files and variables."""
        other = copy.copy(self)
        other._compose = [*self._compose, *(x for name in overlays for x in ("--file", name))]
        other._environment = {**self._environment, **settings}
        return other

    def docker(self, *arguments: str) -> str:
        """Run docker and return what it prints."""
        return self._call([self._client, *arguments])

    def succeeds(self, *arguments: str) -> bool:
        """Run docker and return whether it could do it."""
        return self._run([self._client, *arguments]).returncode == 0

    def compose(self, *arguments: str) -> str:
        """Run compose on the project and return what it prints."""
        return self._call([*self._compose, *arguments])

    def chaos(self, **settings: str) -> str:
        """Run docker/chaos.sh on the project and return what it says."""
        return self._call(
            [
                "env",
                f"COMPOSE_PROJECT_NAME={PROJECT}",
                *(f"{name}={value}" for name, value in settings.items()),
                str(ROOT / "docker" / "chaos.sh"),
            ]
        )

    def _call(self, command: list[str]) -> str:
        done = self._run(command)
        assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the series of an instant query: labels and value."""
        given = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/query?{given}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        return [(r["metric"], float(r["value"][1])) for r in result]

    def value(self, expression: str) -> float | None:
        """Return the value of a query with one series; None for none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def container_in_slot(self, slot: int) -> str:
        """Return the container whose worker fills a slot."""
        [(labels, _)] = self.query(f'erasurehead_worker_info{{worker="{slot}"}}')
        return labels["host"]


def eventually(condition: Callable[[], Any], limit_s: float, what: str | Callable[[], str]) -> None:
    """Wait until something becomes true."""
    until = time.monotonic() + limit_s
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > until:
            wanted = what if isinstance(what, str) else what()
            pytest.fail(f"after {limit_s:g} s still not: {wanted}")
        time.sleep(0.5)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of our own; TEST_DOCKER_HOST names one that runs already (with stand-ins)."""
    given = os.environ.get("TEST_DOCKER_HOST")
    if given:
        yield Engine(given)
        return
    # A socket's path may not be long.
    directory = Path(f"/tmp/erasurehead-engine-{os.getpid()}")
    script = str(ROOT / ".ci" / "engine.sh")
    # Output goes to a file: the engine inherits it, and a pipe would stay open as long as it runs.
    said = tmp_path_factory.mktemp("engine") / "output"
    before = network()
    try:
        with said.open("w") as output:
            started = subprocess.run(
                [script, "start", str(directory)],
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=600,
                check=False,
            )
        if started.returncode != 0:
            last = (said.read_text().strip().splitlines() or ["it said nothing"])[-1]
            pytest.skip(f"no Docker engine can be started here: {last}")
        yield Engine(f"unix://{directory}/docker.sock")
    finally:
        subprocess.run([script, "stop", str(directory)], timeout=120, check=False)
    assert network() == before, "the engine has left something in the machine's network"


def network() -> tuple[list[str], list[str], str]:
    """Return the machine's links, rules for packets, and whether it forwards them."""
    rules: list[str] = []
    if shutil.which("iptables-save") is not None:
        for table in ("filter", "nat"):
            saved = subprocess.run(
                ["iptables-save", "-t", table], capture_output=True, text=True, check=False
            ).stdout
            # Without the counters, and the lines of a table that nobody has touched yet.
            lines = (line.partition(" [")[0] for line in saved.splitlines())
            usual = re.compile(r"[#*].*|COMMIT|:[A-Z]+ ACCEPT")
            rules += [line for line in lines if not usual.fullmatch(line)]
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="ascii").strip()
    return sorted(p.name for p in Path("/sys/class/net").iterdir()), rules, forwarding


@pytest.fixture(scope="session")
def project(engine: Engine) -> Iterator[Engine]:
    """The project, built and up, without Grafana, whose image only a registry has."""
    # One after another: the later ones find the layers of the first.
    for service in ("worker", "master", "prepare"):
        engine.compose("build", "--quiet", service)
    try:
        engine.compose("up", "--detach", "prepare", "master", "worker", "prometheus")
        yield engine
    finally:
        engine.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
