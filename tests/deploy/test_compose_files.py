"""The compose files without an engine: every overlay resolves, and what it says is confined."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from tests.support.deploy_tools import ROOT, Run

BASE = ROOT / "docker-compose.yml"
OVERLAYS = sorted(ROOT.glob("docker-compose.*.yml"))
CHOICES = [(), *((path,) for path in OVERLAYS)]
OURS = {"keys", "prepare", "master", "worker", "worker-slow"}


@pytest.fixture(params=CHOICES, ids=lambda c: c[0].name if c else BASE.name)
def configured(request: pytest.FixtureRequest, run: Run) -> dict[str, Any]:
    """Return the whole configuration as compose understands it."""
    files = [x for path in (BASE, *request.param) for x in ("-f", path)]
    done = run("docker-compose", *files, "config")
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    result: dict[str, Any] = yaml.safe_load(done.stdout)
    return result


def test_our_services_are_confined(configured: dict[str, Any]) -> None:
    found = OURS & configured["services"].keys()
    assert {"prepare", "master", "worker"} <= found
    for name in found:
        service = configured["services"][name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name


def test_ports_are_published_on_loopback_only(configured: dict[str, Any]) -> None:
    published = {
        name: [p["host_ip"] for p in service.get("ports", [])]
        for name, service in configured["services"].items()
    }
    assert {ip for ips in published.values() for ip in ips} == {"127.0.0.1"}
    assert {name for name, ips in published.items() if ips} == {"prometheus", "grafana"}


def test_the_settings_in_the_environment_are_ones_we_have(configured: dict[str, Any]) -> None:
    """A setting that is renamed must not be found out by a container that does not start."""
    services = configured["services"]
    load(MasterSettings, {}, environment=_settings(services["master"]))
    for name in OURS & services.keys() - {"keys", "prepare", "master"}:
        load(WorkerSettings, {}, environment=_settings(services[name]))


def test_workers_have_limits(configured: dict[str, Any]) -> None:
    for name in OURS & configured["services"].keys() - {"keys", "prepare", "master"}:
        limits = configured["services"][name]["deploy"]["resources"]["limits"]
        assert 0 < float(limits["cpus"]) <= 1
        assert int(limits["memory"]) >= 256 << 20


def test_the_pages_example_lowers_a_limit_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """An overlay that spells a limit in the other way is refused (findings/compose-limits.sh)."""
    page = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```yaml\n(# docker-compose\.override.+?)^```$", page, re.M | re.S)
    path = tmp_path / "docker-compose.override.yml"
    path.write_text(example, encoding="utf-8")

    def limits(*overlays: Path) -> dict[str, str]:
        files = [x for overlay in (BASE, *overlays) for x in ("-f", overlay)]
        done = run("docker-compose", *files, "config")
        assert done.returncode == 0, done.stderr
        worker = yaml.safe_load(done.stdout)["services"]["worker"]
        return {k: str(v) for k, v in worker["deploy"]["resources"]["limits"].items()}

    before = limits()
    assert float(before["cpus"]) > 0.25
    assert limits(path) == before | {"cpus": "0.25"}


def test_mounted_files_exist(configured: dict[str, Any]) -> None:
    for name, service in configured["services"].items():
        for volume in service.get("volumes", []):
            # The engine's socket (chaos) is there where there is an engine.
            if volume["type"] == "bind" and not volume["source"].endswith(".sock"):
                assert Path(volume["source"]).exists(), f"{name} mounts {volume['source']}"


def _settings(service: dict[str, Any]) -> dict[str, str]:
    environment = {k: str(v) for k, v in service["environment"].items()}
    # What the image says (docker/Dockerfile).
    return {"ERASUREHEAD_HTTP__BIND": "0.0.0.0:9177", **environment}
