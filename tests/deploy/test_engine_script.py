"""The Docker engine of the tests leaves the machine's network as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.deploy_tools import ROOT

STATE = """
state() {
    ls /sys/class/net
    for table in filter nat raw; do iptables-save -t $table | sed '/^#/d; s/ \\[.*//'; done
    cat /proc/sys/net/ipv4/ip_forward
}
"""
NOTES = """
mount -t sysfs sysfs /sys
for table in filter nat raw; do iptables -t $table -S >/dev/null; done
echo 0 >/proc/sys/net/ipv4/ip_forward
mkdir "$dir"
ls /sys/class/net >"$dir/links"
for table in filter nat raw; do iptables-save -t $table >"$dir/iptables-$table"; done
cat /proc/sys/net/ipv4/ip_forward >"$dir/ip_forward"
"""
"""What the script writes down before it starts the engine."""

ENGINE = """
ip link add docker0 type bridge
iptables -N DOCKER
iptables -N DOCKER-USER
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -o docker0 -j DOCKER
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A POSTROUTING -s 198.18.0.0/24 ! -o docker0 -j MASQUERADE
iptables -P FORWARD DROP
echo 1 >/proc/sys/net/ipv4/ip_forward
"""
"""What an engine does, and does not take back when it ends."""


def test_stop_takes_back_what_an_engine_did(tmp_path: Path) -> None:
    """In a network of its own."""
    for tool in ("unshare", "ip", "iptables-save"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    script = f"set -e\ndir=$1\n{STATE}{NOTES}state >$2/before\necho noted\n{ENGINE}"
    script += 'state >$2/during\n.ci/engine.sh stop "$dir"\nstate >$2/after\n'
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    inside = ["unshare", *as_root, "--mount", "--net", "bash", "-c", script, "bash"]
    done = subprocess.run(
        [*inside, str(tmp_path / "engine"), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "noted" not in done.stdout:
        pytest.skip(f"no network of its own can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    before, during, after = ((tmp_path / n).read_text() for n in ("before", "during", "after"))
    assert "docker0" in during
    assert ":FORWARD DROP" in during
    assert after == before
