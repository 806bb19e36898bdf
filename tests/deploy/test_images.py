"""The Dockerfile and the locks without an engine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.deploy_tools import ROOT, Run

LOCKS = sorted((ROOT / "docker" / "locks").glob("*.txt"))


def test_hadolint_finds_nothing(run: Run) -> None:
    done = run("hadolint", "docker/Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_policy_scan_finds_nothing(run: Run) -> None:
    done = run("trivy", "config", "--skip-check-update", "--quiet", "--exit-code", "1", "docker")
    assert done.returncode == 0, done.stdout


def test_every_target_is_confined_and_started_without_a_shell() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    stages = dict(
        re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    )
    for service in ("master", "worker", "prepare"):
        assert re.search(rf'^ENTRYPOINT \["erasurehead", "{service}"\]', stages[service], re.M)
        assert "USER root" not in stages[service]
    assert "USER 10001:10001" in stages["runtime"]
    assert "STOPSIGNAL SIGTERM" in stages["runtime"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda p: p.name)
def test_locks_pin_everything_with_hashes_and_name_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    entries = re.findall(r"^(\S+?)==(\S+?)[ ;].*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    pinned = [b for b in blocks if re.match(r"[a-zA-Z0-9]", b)]
    assert entries
    for block in pinned:
        assert "==" in block.splitlines()[0], block
        assert "--hash=sha256:" in block, block


def test_the_lock_has_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        re.split(r"[^\w-]", d, maxsplit=1)[0].lower() for d in project["project"]["dependencies"]
    }
    assert all(wanted)
    for name in ("service.txt", "prepare.txt"):
        text = (ROOT / "docker" / "locks" / name).read_text(encoding="utf-8")
        locked = {line.split("==")[0].lower() for line in text.splitlines() if "==" in line}
        assert wanted <= {x.strip() for x in locked}, f"run `make lock` ({name})"
