"""What the processes of a node must know to work for a run that an engine has started.

Orders cross to other machines as plain values, so that another version of this package, which may
be installed there, can read which version sent them and say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from erasurehead.settings.groups import WorkerKeySettings
from erasurehead.settings.tree import WorkerSettings
from erasurehead_worker.shell.main import default_name

MASTER_LOST_S = 120.0
"""Seconds without the master after which a worker ends: a later run has another address."""


class Wanted(BaseModel):
    """One worker.

    Attributes
    ----------
    name: of the worker; None: one that nobody else has.
    slot: that it asks for; None: any that is free.
    secret: its secret key, as the text of a key file; None: connections have no keys.
    """

    model_config = ConfigDict(frozen=True)

    name: str | None
    slot: int | None
    secret: str | None


class Orders(BaseModel):
    """Which workers a node is to run, for which master.

    Attributes
    ----------
    run: tells this run from others of the same cluster.
    version: of the master's ErasureHead.
    address: of the master.
    plugin: plug-ins that workers load.
    public: the master's public key, as the text of a key file; None: connections have no keys.
    workers: that are to start.
    late: a worker that comes later, of which there may be any number.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    version: str
    address: str
    plugin: tuple[str, ...]
    public: str | None
    workers: tuple[Wanted, ...]
    late: Wanted

    def only(self, workers: Iterable[Wanted]) -> Orders:
        """Return the same orders for other workers."""
        return self.model_copy(update={"workers": tuple(workers)})

    def plain(self) -> dict[str, Any]:
        """Return the orders as plain values."""
        return self.model_dump(mode="json")

    def settings(self, folder: Path) -> list[WorkerSettings]:
        """Return the settings of each worker; their keys are written to a folder.

        Parameters
        ----------
        folder: of this process's user alone.
        """
        master = folder / "master.pub"
        if self.public is not None:
            master.write_text(self.public, encoding="ascii")
        return [
            WorkerSettings(
                connect=self.address,
                name=wanted.name or default_name(),
                slot=wanted.slot,
                retry_limit_s=MASTER_LOST_S,
                plugin=self.plugin,
                keys=_keys(wanted, folder / f"worker-{n}.key", master),
            )
            for n, wanted in enumerate(self.workers)
        ]


def _keys(wanted: Wanted, secret: Path, master: Path) -> WorkerKeySettings:
    if wanted.secret is None:
        return WorkerKeySettings()
    secret.touch(mode=0o600)
    secret.write_text(wanted.secret, encoding="ascii")
    return WorkerKeySettings(secret=secret, master=master)
