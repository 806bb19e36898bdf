"""Writing a run's directory while the run goes on."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter
from pydantic_core import to_json

from erasurehead.errors import UsageError, reason_of
from erasurehead.process.durable import replace_file
from erasurehead.process.version import installed_version
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.runs.appender import KEPT_BYTES, Appender
from erasurehead.runs.claim import Claim
from erasurehead.runs.layout import BESIDE, CONFIG, EVENTS, EVERY, MODEL, ROUNDS, STORE, SUMMARY
from erasurehead.runs.lines import offset_after
from erasurehead.runs.origin import Origin
from erasurehead.settings.tree import RunSettings
from erasurehead.settings.yaml_file import as_yaml

log = logging.getLogger(__name__)

# pydantic writes a record in a tenth of the time that asdict and json.dumps need.
_RECORD = TypeAdapter(RoundRecord)


class RunWriter(Observer):
    """Writes a run's directory while the run goes on.

    A write that fails does not end the run: the writer reports it once, keeps what it could not
    write, and tries again after the next round. It keeps `KEPT_BYTES` of rounds; when there are
    more, it says so and records no further round, since rounds behind a gap are of no use to a
    reader or to a resume. The model is written all the same; ``summary.json`` is not, so that the
    run counts as unfinished. Use it in a ``with`` statement, or `close` it.

    Parameters
    ----------
    directory: made if it does not exist.
    settings: the effective settings of the run.
    trouble: told, in one sentence each, when writing first fails, and when rounds are lost; the
        default logs a warning.
    resume_after: go on with the run that is there after this round (0: none of its rounds count);
        later records are cut off. None: the directory must hold no run.
    claim: the directory is this process's already, and the writer releases it at the end; None:
        the writer claims it itself.
    origin: what the model's file says of the data.

    Attributes
    ----------
    lost_writes: writes that failed.
    whole: True once everything down to ``summary.json`` is written.

    Raises
    ------
    UsageError: the directory already holds a run, another process writes one into it, or it cannot
        be written.
    """

    def __init__(
        self,
        directory: Path,
        settings: RunSettings,
        trouble: Callable[[str], None] | None = None,
        resume_after: int | None = None,
        claim: Claim | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.directory = directory
        self._claim = claim or Claim(directory)
        self.lost_writes = 0
        self.whole = False
        self._trouble = trouble or (lambda sentence: log.warning("%s", sentence))
        self._settings = settings
        self._origin = origin
        self._start: RunStart | None = None
        self._unsaved_model: tuple[npt.NDArray[np.float64], RunStart, int] | None = None
        self._resumed = resume_after is not None
        try:
            if resume_after is None:
                self._open()
            else:
                self._reopen(resume_after)
        except BaseException:
            self._claim.release()
            raise

    def _open(self) -> None:
        """Begin a run in a directory that holds none."""
        directory = self.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if (directory / STORE).exists():
                raise UsageError(
                    f"{directory} is a store, and a run goes into a directory of its own; name"
                    " another one with --out"
                )
            held = [name for name in (*EVERY, *BESIDE) if (directory / name).exists()]
            if held:
                what = "a run" if held[0] in EVERY else "what would be written over"
                raise UsageError(
                    f"directory {directory} already holds {what} ({held[0]});"
                    " name another one with --out, or remove it"
                )
            _create(directory / CONFIG, as_yaml(self._settings).encode())
            self._rounds = Appender(directory / ROUNDS)
            self._events = Appender(directory / EVENTS)
        except FileExistsError:
            raise UsageError(
                f"directory {directory} already holds a run ({CONFIG}), or is a file;"
                " name another one with --out, or remove it"
            ) from None
        except OSError as error:
            raise UsageError(
                f"cannot write the run to {directory}: {reason_of(error)}; name another"
                " directory with --out"
            ) from None

    def _reopen(self, after: int) -> None:
        """Go on in a directory that holds a run."""
        try:
            (self.directory / SUMMARY).unlink(missing_ok=True)
            text = as_yaml(self._settings).encode()
            replace_file(self.directory / CONFIG, lambda file: file.write(text))
            end = offset_after(self.directory, after)
            self._rounds = Appender(self.directory / ROUNDS, end)
            events = self.directory / EVENTS
            self._events = Appender(events, events.stat().st_size if events.exists() else 0)
        except OSError as error:
            raise UsageError(
                f"cannot go on with the run in {self.directory}: {reason_of(error)}"
            ) from None

    def started(self, start: RunStart) -> None:
        """Note what the run is, for the summary and the events."""
        self._start = start
        self.notice(
            "info",
            f"run {start.run}: {start.scheme}, {start.n_workers} workers, {start.n_tasks} tasks,"
            f" {start.training_rows} rows, {start.columns} columns, ready after"
            f" {start.ready_s:.3f} s",
        )

    def round_over(self, record: RoundRecord) -> None:
        """Append the record's line."""
        if not self._rounds.lost:
            self._rounds.add(_RECORD.dump_json(record))
            if self._rounds.lost:
                self._trouble(
                    f"no room for more rounds: {KEPT_BYTES >> 20} MiB of them wait for"
                    f" {self.directory / ROUNDS}, so rounds from {record.round} on are not"
                    " recorded; the run goes on for its model, and counts as unfinished"
                )
        self._try(self._rounds.flush, ROUNDS)

    def notice(self, level: str, text: str) -> None:
        """Append a line of the events."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._events.add(f"{stamp} {level} {' '.join(text.split())}".encode())
        self._try(self._events.flush, EVENTS)

    def model(self, theta: Any, start: RunStart, rounds: int) -> None:
        """Write the model."""
        self._unsaved_model = (np.asarray(theta), start, rounds)
        self._save_model()

    def finished(self, summary: RunSummary) -> None:
        """Write what is still due, then the summary, and close the files."""
        if self._events.lost:
            self.notice("warning", f"{self._events.lost} events found no room and are lost")
        self.notice(
            "info" if summary.exit_code == 0 else "error",
            f"ended after {summary.rounds} rounds and {summary.wall_s:.3f} s: {summary.reason}",
        )
        self._save_model()
        self._try(self._rounds.sync, ROUNDS)
        self._try(self._events.sync, EVENTS)
        if self._rounds.whole and self._unsaved_model is None:
            self.whole = self._try(lambda: self._save_summary(summary), SUMMARY)
        self.close()

    def close(self) -> None:
        """Close the files and release the directory; what was not finished stays unfinished."""
        self._rounds.close()
        self._events.close()
        self._claim.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Close; a run that failed before its first round opened leaves nothing behind."""
        never_began = kind is not None and self._start is None and not self._resumed
        if never_began:
            for name in EVERY:
                (self.directory / name).unlink(missing_ok=True)
        self.close()
        if never_began:
            with contextlib.suppress(OSError):  # it holds other things
                self.directory.rmdir()

    def _save_model(self) -> None:
        if self._unsaved_model is None:
            return
        theta, start, rounds = self._unsaved_model
        described: dict[str, Any] = {
            "theta": theta,
            "run": start.run,
            "rounds": rounds,
            "columns": start.columns,
            "meaning": start.meaning,
            "model": start.model,
            "scheme": start.scheme,
            "store": self._settings.problem.store,
            "seed": self._settings.run.seed,
            "l2": start.l2,
            "l1": start.l1,
            "version": installed_version(),
            **({} if self._origin is None else self._origin.arrays()),
        }
        # Zeros that are compressed take no room; other numbers take more time than they give room.
        sparse = 2 * np.count_nonzero(theta) < len(theta)
        save = np.savez_compressed if sparse else np.savez
        if self._try(
            lambda: replace_file(self.directory / MODEL, lambda file: save(file, **described)),
            MODEL,
        ):
            self._unsaved_model = None

    def _save_summary(self, summary: RunSummary) -> None:
        held = {**summary.to_json(), "lost_writes": self.lost_writes, "start": self._start}
        text = to_json(held, indent=2, inf_nan_mode="null") + b"\n"
        replace_file(self.directory / SUMMARY, lambda file: file.write(text))

    def _try(self, write: Callable[[], Any], name: str) -> bool:
        """Carry out a write; count a failure, and report the first."""
        try:
            write()
        except OSError as error:
            self.lost_writes += 1
            if self.lost_writes == 1:
                self._trouble(
                    f"cannot write {self.directory / name}: {reason_of(error)}; the run goes on and"
                    " tries again after each round"
                )
            return False
        return True


def _create(path: Path, content: bytes) -> None:
    """Make a file, whole from the first instant of its name; FileExistsError if there is one.

    A link settles which of two runs started into one directory has it, and a run that is killed
    here leaves no half-written settings that it could never be resumed with.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(beside)
    finally:
        beside.unlink(missing_ok=True)
