"""CPU quotas for worker processes by control groups, version 1 and 2."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from erasurehead.errors import ErasureHeadError, reason_of
from erasurehead.records import Observer, RunStart, RunSummary
from erasurehead_local.cluster import LocalCluster

log = logging.getLogger(__name__)

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
LEAVING_S = 3.0
"""How long a group may take to empty after its process has ended."""


class QuotasUnavailableError(ErasureHeadError):
    """This machine does not let us limit a process's CPU time."""


@dataclass(frozen=True)
class Quota:
    """`quota_us` of CPU time in each `period_us`."""

    quota_us: int
    period_us: int

    @property
    def cores(self) -> float:
        """The limit as a number of cores."""
        return self.quota_us / self.period_us


class QuotaGroups:
    """One control group a slot, with its quota; a context manager that leaves none behind.

    Parameters
    ----------
    quotas: of each slot.
    root, membership: where the kernel shows control groups.

    Raises
    ------
    QuotasUnavailableError: on entering, with the reason.
    """

    def __init__(
        self, quotas: Sequence[Quota], root: Path = CGROUP, membership: Path = MEMBERSHIP
    ) -> None:
        self._quotas = quotas
        self._root = root
        self._membership = membership
        self._groups: list[Path] = []
        self._v2 = False

    def __enter__(self) -> Self:
        parent, self._v2 = cpu_controller(self._root, self._membership)
        try:
            if self._v2:
                (parent / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
            for slot, quota in enumerate(self._quotas):
                group = parent / f"erasurehead-{os.getpid()}-{slot}"
                group.mkdir()
                self._groups.append(group)
                self._limit(group, quota)
        except OSError as error:
            self._remove()
            raise QuotasUnavailableError(
                f"no CPU quotas here: control groups under {self._root} cannot be made"
                f" ({reason_of(error)}); run with --settings delays,none, or as root"
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def confine(self, slot: int, pid: int) -> None:
        """Put a process under its slot's quota."""
        (self._groups[slot] / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def lift(self) -> None:
        """Take the limits away, so that workers can leave quickly."""
        for group in self._groups:
            self._limit(group, None)

    def _limit(self, group: Path, quota: Quota | None) -> None:
        if self._v2:
            text = "max" if quota is None else f"{quota.quota_us} {quota.period_us}"
            (group / "cpu.max").write_text(text, encoding="ascii")
            return
        if quota is not None:
            (group / "cpu.cfs_period_us").write_text(str(quota.period_us), encoding="ascii")
        limit = -1 if quota is None else quota.quota_us
        (group / "cpu.cfs_quota_us").write_text(str(limit), encoding="ascii")

    def _remove(self) -> None:
        until = time.monotonic() + LEAVING_S
        for group in self._groups:
            while group.is_dir():
                try:
                    group.rmdir()
                except OSError as error:
                    if time.monotonic() > until:
                        log.warning("control group %s is left: %s", group.name, reason_of(error))
                        break
                    time.sleep(0.02)
        self._groups = []


class Confinement(Observer):
    """Puts the workers of a local cluster under quotas while rounds are run.

    Loading rows before the first round and leaving after the last are not slowed down.
    """

    def __init__(self, groups: QuotaGroups) -> None:
        self._groups = groups
        self._pids: Mapping[str, int] = {}

    def attach(self, cluster: LocalCluster) -> None:
        """Take note of the cluster; workers are named ``local-SLOT``."""
        self._pids = cluster.pids

    def started(self, start: RunStart) -> None:
        """Confine every worker."""
        for name, pid in self._pids.items():
            self._groups.confine(int(name.rpartition("-")[2]), pid)

    def finished(self, summary: RunSummary) -> None:
        """Let the workers go."""
        self._groups.lift()


def cpu_controller(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> tuple[Path, bool]:
    """Return the group under which CPU-limited groups can be made, and whether it is version 2.

    Raises
    ------
    QuotasUnavailableError: there is none.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if "cpu" in controllers.split(","):
            for mount in (root / controllers, root / "cpu"):
                for group in (mount / inside, mount):
                    if (group / "cpu.cfs_quota_us").exists():
                        return group, False
        elif controllers == "":
            for group in (root / inside, root):
                held = group / "cgroup.controllers"
                if held.exists() and "cpu" in held.read_text(encoding="ascii").split():
                    return group, True
    raise QuotasUnavailableError(
        f"no CPU quotas here: {root} shows no control group of the cpu controller; run with"
        " --settings delays,none"
    )
