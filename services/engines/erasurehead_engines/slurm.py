"""A run inside an allocation of SLURM: ``srun erasurehead slurm STORE``.

Every task of the step is this program. The first one is the master, which is told of here: it
writes its address to a file named by the job, which the others follow (`following.py`).
"""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_INTERNAL, EXIT_OK, ErasureHeadError, UsageError, reason_of
from erasurehead.process.descriptors import check_room_for
from erasurehead.process.version import installed_version
from erasurehead.records import Observer, RunSummary
from erasurehead.settings.tree import SlurmSettings
from erasurehead_engines.addresses import Place
from erasurehead_engines.keys import RunKeys, fresh_keys
from erasurehead_engines.posting import Posting, State, post
from erasurehead_engines.ranks import Rank
from erasurehead_engines.versions import warn_if_untried
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.keep.resume import is_done
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.shell.main import host

log = logging.getLogger(__name__)

TRIED = ("22.05", "22.05")
"""The first and the last version of SLURM that this was tried with."""

LATE_KEYS = 16
"""Keys for workers of other jobs, which share them."""

PATIENCE_S = 20.0
"""Seconds that a command of SLURM may take."""


class JobMaster:
    """The master of a job, and its posting; a context manager.

    Whatever becomes of the master short of being killed, its file says so in the end, and its
    workers do not wait for it.
    """

    def __init__(self, rank: Rank, settings: SlurmSettings) -> None:
        self._rank = rank
        self._settings = settings
        self._file = rank.file(settings.address_file)
        self._posting = Posting(
            version=installed_version(),
            start=rank.start,
            host=socket.gethostname(),
            state="starting",
        )

    def __enter__(self) -> JobMaster:
        """Say that there will be a master.

        Raises
        ------
        UsageError: the file cannot be written.
        """
        self._say(self._posting)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._posting.state in ("starting", "listening"):
            if error is None:
                self._say_in_the_end("over", "it was finished before", EXIT_OK)
            else:
                code = error.exit_code if isinstance(error, ErasureHeadError) else EXIT_INTERNAL
                self._say_in_the_end("over", reason_of(error), code)

    def plan(self) -> PlannedRun:
        """Plan the run.

        Raises
        ------
        UsageError, DataError: the settings or the store do not fit.
        """
        settings = self._settings
        check_room_for(max(settings.coding.workers, self._rank.tasks - 1))
        location = settings.problem.store
        if "://" not in location:  # workers of other jobs have other working directories
            location = str(Path(location).absolute())
        store = Store.open(settings.problem.store)
        return PlannedRun.of(settings, store, location if settings.share_store else None)

    def run(
        self, planned: PlannedRun, observers: Sequence[Observer], resume: Snapshot | None = None, /
    ) -> RunSummary:
        """Listen, tell where, and run to the end.

        Parameters
        ----------
        resume: the checkpoint to go on from.

        Raises
        ------
        UsageError: other nodes cannot reach the address, or the file cannot be written.
        BindError: the address cannot be had.
        """
        begun = time.monotonic()
        place = place_for(self._rank, self._settings.bind, _names(self._rank.node_list))
        _look_at_version()
        names = [f"task-{number}" for number in range(1, self._rank.tasks)]
        late = [f"late-{number}" for number in range(LATE_KEYS)]
        insecure = self._settings.insecure
        with nullcontext(RunKeys()) if insecure else fresh_keys([*names, *late]) as keys:

            def announce(bound: str) -> None:
                self._say(
                    self._posting.model_copy(
                        update={
                            "state": "listening",
                            "address": place.connect(bound),
                            "public": keys.public,
                            "secrets": tuple(keys.secrets.values()),
                            "late": len(late),
                        }
                    )
                )

            summary = host(
                planned,
                place.bind,
                observers,
                begun,
                resume=resume,
                keys=keys.master,
                announce=announce,
            )
        # What was asked to end in order may be started again, and go on.
        left = summary.exit_code == EXIT_OK and not is_done(planned.plan.settings, summary)
        self._say_in_the_end("left" if left else "over", summary.reason, summary.exit_code)
        return summary

    def _say(self, posting: Posting) -> None:
        post(self._file, posting)
        self._posting = posting

    def _say_in_the_end(self, state: State, reason: str, exit_code: int) -> None:
        """Say how the run went, which a file that cannot be written does not change."""
        try:
            self._say(self._posting.gone(state, reason, exit_code))
        except UsageError as error:
            log.warning("%s", error)


def place_for(rank: Rank, bind: str | None, step_nodes: Sequence[str]) -> Place:
    """Return where the master listens: the user's address, or one that the other nodes reach.

    Parameters
    ----------
    bind: the user's address; None: none was given.
    step_nodes: the nodes of the step by name.

    Raises
    ------
    UsageError: there is no such address.
    """
    try:
        place = Place.of(bind, rank.neighbours(step_nodes))
    except UsageError:
        if rank.nodes > 1:
            raise
        place = Place.of(bind, [])  # nobody but this node needs to reach it
    if place.stays_here and rank.nodes > 1:
        raise UsageError(
            f"bind={place.bind} stays on this machine, and the job has {rank.nodes} nodes; leave it"
            " out, or give --bind tcp://ADDRESS:* with an address that the other nodes reach"
        )
    return place


def _names(node_list: str) -> list[str]:
    """Return the nodes of a list as SLURM writes it; none if it cannot be asked."""
    return (_said("scontrol", "show", "hostnames", node_list) or "").split() if node_list else []


def _look_at_version() -> None:
    said = _said("srun", "--version")
    if said:
        warn_if_untried("SLURM", said.split()[-1], *TRIED)


def _said(*command: str) -> str | None:
    """Return what a command of SLURM prints; None if there is no such command here."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
