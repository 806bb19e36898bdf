"""Checkpoints: a round's whole state in one file that is either right or not taken.

A file is one line ``erasurehead-checkpoint 1 SHA256``, then an npz archive. It is written beside
its name, synced, renamed, and the directory synced; the last few are kept. On loading the digest is
compared, and a damaged or truncated file gives way to the one before it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import queue
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.errors import reason_of
from erasurehead.process.durable import replace_file
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.seams import Outcome

log = logging.getLogger(__name__)

MAGIC = b"erasurehead-checkpoint 1 "
DIRECTORY = "checkpoint"
_NAME = re.compile(r"round-(\d{9})\.ckpt")

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Snapshot:
    """The state of a run between two rounds.

    Attributes
    ----------
    round: the last round that was stepped.
    run: the run's id.
    times: up to that round's end.
    arrays: owner/name -> array, copies.
    """

    round: int
    run: str
    times: RunTimes
    arrays: Arrays = field(default_factory=dict)

    def part(self, owner: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of one owner under their own names."""
        prefix = owner + "/"
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        packed = io.BytesIO()
        header: dict[str, Any] = {
            "round": np.int64(self.round),
            "run": np.str_(self.run),
            **{name: np.float64(seconds) for name, seconds in asdict(self.times).items()},
        }
        header.update(self.arrays)
        np.savez(packed, **header)
        payload = packed.getvalue()
        digest = hashlib.sha256(payload).hexdigest().encode()
        return MAGIC + digest + b"\n" + payload

    @classmethod
    def from_bytes(cls, content: bytes) -> Snapshot:
        """Read a file's content.

        Raises
        ------
        ValueError: it is not a checkpoint, or not what was written.
        """
        header, _, payload = content.partition(b"\n")
        if not header.startswith(MAGIC):
            raise ValueError("not a checkpoint of this version")
        if hashlib.sha256(payload).hexdigest().encode() != header[len(MAGIC) :]:
            raise ValueError("its digest does not fit its content")
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return cls(
            int(arrays.pop("round")),
            str(arrays.pop("run")),
            RunTimes(**{f.name: float(arrays.pop(f.name, 0.0)) for f in fields(RunTimes)}),
            arrays,
        )


class CheckpointDirectory:
    """The checkpoints of one run.

    Parameters
    ----------
    path: made on the first save.
    keep: how many of the newest are kept.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self._keep = keep

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint, then drop the oldest ones.

        Raises
        ------
        OSError: the disk did not take it; the checkpoints there were are untouched.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        target = self.path / self._name(snapshot.round)
        content = snapshot.to_bytes()
        replace_file(target, lambda file: file.write(content), target.with_suffix(".part"))
        for old in self._newest_first()[self._keep :]:
            old.unlink(missing_ok=True)

    def load(self, last_round: int) -> tuple[Snapshot | None, list[str]]:
        """Return the newest sound checkpoint of at most `last_round`, and what was passed over.

        `last_round` is the last round whose record is on disk: a checkpoint beyond it would leave a
        gap in the records.
        """
        passed: list[str] = []
        for path in self._newest_first():
            try:
                snapshot = Snapshot.from_bytes(path.read_bytes())
            except (OSError, ValueError, KeyError) as error:
                passed.append(
                    f"checkpoint {path.name} is damaged ({reason_of(error)}); taking an older one"
                )
                continue
            if snapshot.round > last_round:
                passed.append(
                    f"checkpoint {path.name} is ahead of the last recorded round {last_round};"
                    " taking an older one"
                )
                continue
            return snapshot, passed
        return None, passed

    def forget_beyond(self, round_: int) -> None:
        """Remove what was passed over for the checkpoint of `round_`, or it would be kept for new
        ones.

        Raises
        ------
        OSError: the disk does not let go of one.
        """
        for path in self._newest_first():
            if path.name > self._name(round_):
                path.unlink(missing_ok=True)

    @staticmethod
    def _name(round_: int) -> str:
        return f"round-{round_:09d}.ckpt"

    def _newest_first(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        return sorted((p for p in self.path.iterdir() if _NAME.fullmatch(p.name)), reverse=True)


class CheckpointWriter:
    """Writes checkpoints on a thread of its own: a slow disk must not hold up a round.

    Only the newest snapshot waits; an older one that was not begun yet is dropped for it.
    """

    def __init__(self, directory: CheckpointDirectory) -> None:
        self._directory = directory
        self._waiting: queue.Queue[Snapshot | None] = queue.Queue()
        self._outcomes: deque[Outcome] = deque()
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        self._thread.start()

    def submit(self, snapshot: Snapshot) -> None:
        """Hand over a snapshot to be written soon."""
        try:
            while True:
                self._waiting.get_nowait()
        except queue.Empty:
            self._waiting.put(snapshot)

    def outcomes(self) -> list[Outcome]:
        """Return what was done since the last call."""
        done = []
        while self._outcomes:
            done.append(self._outcomes.popleft())
        return done

    def close(self) -> None:
        """Write what is waiting, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (snapshot := self._waiting.get()) is not None:
            try:
                self._directory.save(snapshot)
            except OSError as error:
                self._outcomes.append((snapshot.round, reason_of(error)))
            except MemoryError:
                self._outcomes.append((snapshot.round, "there is not enough memory for it"))
            else:
                self._outcomes.append((snapshot.round, None))
