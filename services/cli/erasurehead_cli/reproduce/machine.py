"""What the machine is, and how busy others keep it while a cell runs."""

from __future__ import annotations

import os
import platform
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STAT = Path("/proc/stat")


def describe() -> dict[str, str]:
    """Return what results depend on: nothing that names this machine."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "system": f"{platform.system()}, {platform.machine()}",
        "Python": platform.python_version(),
        "numpy": np.__version__,
    }


@dataclass(frozen=True)
class CpuUse:
    """Mean cores in use between two readings: by this process and its children, and by others."""

    own_cores: float
    other_cores: float | None


class CpuMeter:
    """Measures from its making to `read`."""

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._began = (time.monotonic(), _own_s(), _busy_s(stat))

    def read(self) -> CpuUse:
        """Return the use since the beginning; children count once they have ended."""
        began, own_s, busy_s = self._began
        wall_s = max(time.monotonic() - began, 1e-9)
        own = (_own_s() - own_s) / wall_s
        now = _busy_s(self._stat)
        if now is None or busy_s is None:
            return CpuUse(own, None)
        return CpuUse(own, max(0.0, (now - busy_s) / wall_s - own))


def _own_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _busy_s(stat: Path) -> float | None:
    """Return the seconds all cores were busy since boot; None where the system does not tell."""
    try:
        fields = stat.read_text(encoding="ascii").splitlines()[0].split()[1:]
    except (OSError, IndexError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq = (int(text) for text in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
