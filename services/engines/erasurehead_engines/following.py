"""A worker that follows a file to its master, also to the next one of the same run."""

from __future__ import annotations

import logging
import select
import socket
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from erasurehead.errors import EXIT_MASTER_LOST, EXIT_OK, EXIT_REFUSED, EXIT_USAGE
from erasurehead.network.addresses import host_and_port, stays_on_this_machine
from erasurehead.network.scout import look
from erasurehead.process.signals import SignalWatch
from erasurehead.process.version import installed_version
from erasurehead.settings.groups import WorkerKeySettings
from erasurehead.settings.plugins import loaded_plugins
from erasurehead.settings.tree import SlurmSettings, WorkerSettings
from erasurehead_engines.posting import Posting, Start, read
from erasurehead_engines.ranks import Rank
from erasurehead_worker.shell.main import default_name, work

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Seconds between two looks at the file."""

SILENT_S = 10.0
"""Seconds without a word of the master after which the file may name another one."""


@dataclass(frozen=True, slots=True)
class Join:
    """Work for the master of a posting."""

    posting: Posting


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again later.

    Attributes
    ----------
    why: what is in the way, as half a sentence.
    remedy: what a user can do about it, if nothing changes.
    """

    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class End:
    """End with an exit code."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """A worker that looks for its master.

    Attributes
    ----------
    file: that it reads.
    host: that it is on.
    version: of its ErasureHead.
    start: the one that it belongs to; None: another job has started it, and it goes along from one
        start of the master to the next.
    """

    file: Path
    host: str
    version: str
    start: Start | None


def next_move(found: Posting | None, place: Place) -> Join | Wait | End:
    """Return what a worker does after a look at its file.

    Parameters
    ----------
    found: what the file says; None: it is not there.
    """
    shared = (
        f"see that the master has started, and that {place.file.parent} is on a file system which"
        f" it shares with {place.host}, or name a file on one with --address-file"
    )
    if found is None:
        return Wait(f"no master has written its address to {place.file}", shared)
    if place.start is not None and found.start != place.start:
        was = f"job {found.start.job}, step {found.start.step}, restart {found.start.restarts}"
        return Wait(f"{place.file} is of an earlier start ({was})", shared)
    match found.state:
        case "over":
            return End(EXIT_OK, f"the run is over: {found.reason}")
        case "left" if place.start is not None:
            return End(EXIT_OK, f"the master has left: {found.reason}")
        case "left":
            return Wait(
                f"the master on {found.host} has left ({found.reason})",
                "start its job again, or end this worker",
            )
        case "starting":
            return Wait(f"the master on {found.host} is starting", "see what its job prints")
    if found.version != place.version:
        return End(
            EXIT_REFUSED,
            f"{place.host} has ErasureHead {place.version} and the master on {found.host} has"
            f" {found.version}; install the same version on all nodes",
        )
    if stays_on_this_machine(found.address) and found.host != place.host:
        return End(
            EXIT_USAGE,
            f"the master on {found.host} listens at {found.address}, which {place.host} cannot"
            f" reach; start it with --bind tcp://ADDRESS:* and an address of {found.host} that"
            " other nodes reach",
        )
    return Join(found)


def work_as(rank: Rank, settings: SlurmSettings) -> int:
    """Be the worker that a task is; return the exit code."""
    worker = WorkerSettings(
        address_file=rank.file(settings.address_file),
        name=f"task-{rank.number}",
        slot=rank.slot(settings.coding.workers),
        retry_limit_s=settings.address_wait_s,
        cache=settings.cache,
        plugin=loaded_plugins(),
    )
    return follow(worker, rank.number - 1, rank.start)


def follow(settings: WorkerSettings, number: int | None = None, start: Start | None = None) -> int:
    """Serve the masters that a file names, until the run is over; return the exit code.

    Parameters
    ----------
    settings: with `address_file`. `retry_limit_s` counts from the last sign of a master.
    number: of the worker among those of the master's own job; None: another job has started it.
    start: as for `Place`.

    Raises
    ------
    UsageError: the file is something else.
    """
    assert settings.address_file is not None
    place = Place(settings.address_file, socket.gethostname(), installed_version(), start)
    settings = settings.model_copy(update={"name": settings.name or default_name()})
    heard, told = time.monotonic(), ""
    joined: Posting | None = None
    with SignalWatch() as signals:
        while signals.take() is None:
            move = next_move(read(place.file), place)
            if isinstance(move, Join):
                began = time.monotonic()
                again, joined = move.posting == joined, move.posting
                outcome = _join(settings, move.posting, place, number, again=again)
                if isinstance(outcome, int):
                    return outcome
                if time.monotonic() > began + SILENT_S + LOOK_S:  # it was there for a while
                    heard = time.monotonic() - SILENT_S
                move = outcome
            elif isinstance(move, End):
                log.log(logging.ERROR if move.code else logging.INFO, "%s", move.reason)
                return move.code
            limit_s = settings.retry_limit_s
            if limit_s is not None and time.monotonic() > heard + limit_s:
                log.error("%s, after %g s; %s", move.why, limit_s, move.remedy)
                return EXIT_MASTER_LOST
            if move.why != told:
                told = move.why
                log.info("%s; looking again", told)
            select.select([signals], [], [], LOOK_S)
    log.info("asked to end")
    return EXIT_OK


def _join(
    settings: WorkerSettings, posting: Posting, place: Place, number: int | None, *, again: bool
) -> int | Wait:
    """Serve the master of a posting; return the exit code, or why there is none.

    A worker that comes `again` first sees whether anybody is there. It does not at first, for a
    connection that says nothing is one that the master warns of.
    """
    obstacle = _obstacle(posting, place) if again else None
    if obstacle is None:
        key = zlib.crc32((settings.name or "").encode()) if number is None else number
        code = _work(settings, posting, posting.secret_for(key, late=number is None))
        if code != EXIT_MASTER_LOST:
            return code
        obstacle = _obstacle(posting, place)
    return obstacle or Wait(f"the master at {posting.address} says nothing", "see whether it runs")


def _obstacle(posting: Posting, place: Place) -> Wait | None:
    """Return why nobody answers where a posting says, or None if somebody does."""
    sighting = look(*host_and_port(posting.address))
    if sighting.ipv6 is not None:
        return None
    return Wait(
        f"nobody answers {place.host} at {posting.address}, which {place.file} names"
        f" ({sighting.why})",
        "see whether the master runs, or start it with --bind tcp://ADDRESS:* and an address of"
        f" {posting.host} that {place.host} reaches",
    )


def _work(settings: WorkerSettings, posting: Posting, secret: str | None) -> int:
    """Serve the master of a posting; return the exit code."""
    with TemporaryDirectory(prefix="erasurehead-") as folder:
        keys = WorkerKeySettings()
        if secret is not None:
            keys = WorkerKeySettings(
                secret=Path(folder) / "worker.key", master=Path(folder) / "master.pub"
            )
            assert keys.secret is not None
            assert keys.master is not None
            assert posting.public is not None
            keys.secret.touch(mode=0o600)
            keys.secret.write_text(secret, encoding="ascii")
            keys.master.write_text(posting.public, encoding="ascii")
        return work(
            settings.model_copy(
                update={
                    "connect": posting.address,
                    "keys": keys,
                    "retry_limit_s": min(SILENT_S, settings.retry_limit_s or SILENT_S),
                }
            )
        )
