"""CPU limit and throttling of this process's control group, version 1 and 2.

The files are where /proc/self/cgroup says, or at the mount's root: inside a container without a
control group namespace the path is the host's, but the mount shows our own group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Throttling:
    """What the scheduler did to our control group since it was made."""

    periods: int
    throttled_periods: int
    throttled_s: float


def throttling(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> Throttling | None:
    """Return the throttling so far; None where the kernel does not account for it."""
    for directory in _directories(root, membership):
        try:
            lines = (directory / "cpu.stat").read_text(encoding="ascii").splitlines()
            stat = {name: int(value) for name, value in (line.split() for line in lines)}
        except (OSError, ValueError):
            continue
        if "nr_throttled" not in stat:
            continue
        # Version 1 says throttled_time in nanoseconds, version 2 throttled_usec.
        throttled_s = stat.get("throttled_time", 0) / 1e9 + stat.get("throttled_usec", 0) / 1e6
        return Throttling(stat.get("nr_periods", 0), stat["nr_throttled"], throttled_s)
    return None


def cpu_limit(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> float | None:
    """Return the cores this process may use by its quota; None without one."""
    for directory in _directories(root, membership):
        try:
            if (directory / "cpu.max").exists():
                quota, period = (directory / "cpu.max").read_text(encoding="ascii").split()
            else:
                quota = (directory / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
                period = (directory / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
            if quota not in ("max", "-1"):
                return int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None


def _directories(root: Path, membership: Path) -> Iterator[Path]:
    """Yield where the files may be, the most specific place first."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    mounts: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if controllers == "":
            mounts.append(root)
            yield root / inside
        elif "cpu" in controllers.split(","):
            for mount in (root / controllers, root / "cpu"):
                mounts.append(mount)
                yield mount / inside
    yield from mounts or [root, root / "cpu"]
