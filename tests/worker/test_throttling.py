"""Control groups of both versions, from directories laid out as the kernel does."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead_worker.watch.throttling import Throttling, cpu_limit, throttling

V1 = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
V2 = "0::/worker\n"


def lay(root: Path, directory: str, files: dict[str, str]) -> None:
    (root / directory).mkdir(parents=True)
    for name, text in files.items():
        (root / directory / name).write_text(text, encoding="ascii")


@pytest.mark.parametrize(
    "directory", ["cpu,cpuacct/docker/abc", "cpu/docker/abc", "cpu,cpuacct", "cpu"]
)
def test_version_1(tmp_path: Path, directory: str) -> None:
    """The mount's name and what of the path it shows differ between systems and containers."""
    (tmp_path / "membership").write_text(V1, encoding="ascii")
    lay(
        tmp_path,
        directory,
        {
            "cpu.stat": "nr_periods 100\nnr_throttled 40\nthrottled_time 2500000000\n",
            "cpu.cfs_quota_us": "30000\n",
            "cpu.cfs_period_us": "100000\n",
        },
    )
    assert throttling(tmp_path, tmp_path / "membership") == Throttling(100, 40, 2.5)
    assert cpu_limit(tmp_path, tmp_path / "membership") == 0.3


@pytest.mark.parametrize("directory", ["worker", "."])
def test_version_2(tmp_path: Path, directory: str) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    (tmp_path / "membership").write_text(V2, encoding="ascii")
    stat = "usage_usec 9\nnr_periods 100\nnr_throttled 40\nthrottled_usec 2500000\n"
    (root / directory).mkdir(exist_ok=True)
    for name, text in {"cpu.stat": stat, "cpu.max": "150000 100000\n"}.items():
        (root / directory / name).write_text(text, encoding="ascii")
    assert throttling(root, tmp_path / "membership") == Throttling(100, 40, 2.5)
    assert cpu_limit(root, tmp_path / "membership") == 1.5


def test_no_limit_and_no_accounting(tmp_path: Path) -> None:
    (tmp_path / "membership").write_text(V2, encoding="ascii")
    lay(tmp_path, "worker", {"cpu.stat": "usage_usec 9\n", "cpu.max": "max 100000\n"})
    assert throttling(tmp_path, tmp_path / "membership") is None
    assert cpu_limit(tmp_path, tmp_path / "membership") is None
    assert throttling(tmp_path, tmp_path / "nowhere") is None
    assert cpu_limit(tmp_path / "nowhere", tmp_path / "nowhere") is None


def test_this_machine_can_be_asked() -> None:
    found = throttling()
    assert found is None or found.throttled_s >= 0
