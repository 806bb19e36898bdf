"""A run on disk: written as it goes, read back whole.

===============  ==================================================================
``config.yaml``  the effective settings, written before anything else
``rounds.jsonl`` one RoundRecord a line, handed to the system as each round closes
``events.log``   one notice a line: time (UTC), level, text
``model.npz``    ``theta`` and what it is a model of, replaced as a whole
``summary.json`` how the run ended, written last and at once
===============  ==================================================================

A directory without ``summary.json`` is a run that is going on or was cut off; it is never taken
for a whole one. JSON has no NaN and no infinity: both are written as null and read as NaN.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import TypeAdapter, ValidationError

from erasurehead.errors import DataError, ErasureHeadError, UsageError
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings import MasterSettings, RunSettings, load

log = logging.getLogger(__name__)

CONFIG = "config.yaml"
ROUNDS = "rounds.jsonl"
EVENTS = "events.log"
MODEL = "model.npz"
SUMMARY = "summary.json"
_NAMES = (CONFIG, ROUNDS, EVENTS, MODEL, SUMMARY)

KEPT_LINES = 10_000
"""Rounds kept in memory while the disk takes none; older ones are lost after that."""

_RECORD = TypeAdapter(RoundRecord)
_SUMMARY = TypeAdapter(RunSummary)
_START = TypeAdapter(RunStart)


class RunWriter(Observer):
    """Writes a run's directory while the run goes on.

    A write that fails does not end the run: it is reported once, what could not be written is
    kept, and the next round tries again.

    Parameters
    ----------
    directory: made if it does not exist.
    settings: the effective settings of the run.
    trouble: told, in one sentence, when writing first fails; the default logs a warning.

    Attributes
    ----------
    lost_writes: writes that failed.
    whole: True once everything down to ``summary.json`` is written.

    Raises
    ------
    UsageError: the directory already holds a run, or cannot be written.
    """

    def __init__(
        self,
        directory: Path,
        settings: RunSettings,
        trouble: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = directory
        self.lost_writes = 0
        self.whole = False
        self._trouble = trouble or (lambda sentence: log.warning("%s", sentence))
        self._settings = settings
        self._start: RunStart | None = None
        self._unsaved_model: tuple[npt.NDArray[np.float64], RunStart, int] | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            held = [name for name in _NAMES if (directory / name).exists()]
            if held:
                raise UsageError(
                    f"directory {directory} already holds a run ({held[0]});"
                    " name another one with --out, or remove it"
                )
            # "x" settles which of two runs started into one directory has it.
            with (directory / CONFIG).open("x", encoding="utf-8") as file:
                file.write(settings.to_yaml())
            self._rounds = _Appender(directory / ROUNDS)
            self._events = _Appender(directory / EVENTS)
        except FileExistsError:
            raise UsageError(
                f"directory {directory} already holds a run ({CONFIG}), or is a file;"
                " name another one with --out, or remove it"
            ) from None
        except OSError as error:
            raise UsageError(
                f"cannot write the run to {directory}: {error.strerror}; name another"
                " directory with --out"
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
        self._rounds.add(_to_json(record.to_json()))
        self._try(self._rounds.flush, ROUNDS)

    def notice(self, level: str, text: str) -> None:
        """Append a line of the events."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._events.add(f"{stamp} {level} {' '.join(text.split())}")
        self._try(self._events.flush, EVENTS)

    def model(self, theta: Any, start: RunStart, rounds: int) -> None:
        """Write the model."""
        self._unsaved_model = (np.asarray(theta), start, rounds)
        self._save_model()

    def finished(self, summary: RunSummary) -> None:
        """Write what is still due, then the summary, and close the files."""
        self.notice(
            "info" if summary.exit_code == 0 else "error",
            f"ended after {summary.rounds} rounds and {summary.wall_s:.3f} s: {summary.reason}",
        )
        self._save_model()
        self._try(self._rounds.sync, ROUNDS)
        self._try(self._events.sync, EVENTS)
        if self._rounds.empty and self._unsaved_model is None:
            self.whole = self._try(lambda: self._save_summary(summary), SUMMARY)
        self._rounds.close()
        self._events.close()

    def _save_model(self) -> None:
        if self._unsaved_model is None:
            return
        theta, start, rounds = self._unsaved_model
        described: dict[str, Any] = {
            "theta": theta,
            "run": start.run,
            "rounds": rounds,
            "columns": start.columns,
            "objective": start.objective,
            "scheme": start.scheme,
            "store": self._settings.store,
            "seed": self._settings.seed,
            "l2": self._settings.l2,
        }
        if self._try(
            lambda: _replace(self.directory / MODEL, lambda file: np.savez(file, **described)),
            MODEL,
        ):
            self._unsaved_model = None

    def _save_summary(self, summary: RunSummary) -> None:
        held = {
            **summary.to_json(),
            "lost_writes": self.lost_writes,
            "start": None if self._start is None else asdict(self._start),
        }
        line = _to_json(held, indent=2)
        _replace(self.directory / SUMMARY, lambda file: file.write(line.encode() + b"\n"))

    def _try(self, write: Callable[[], Any], name: str) -> bool:
        """Carry out a write; count a failure, and report the first."""
        try:
            write()
        except OSError as error:
            self.lost_writes += 1
            if self.lost_writes == 1:
                self._trouble(
                    f"cannot write {self.directory / name}: {error.strerror}; the run goes on and"
                    " tries again after each round"
                )
            return False
        return True


class _Appender:
    """Lines at the end of a file, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._file: FileIO = path.open("xb", buffering=0)
        self._end = 0
        self._lines: deque[bytes] = deque(maxlen=KEPT_LINES)

    @property
    def empty(self) -> bool:
        """True when every line is in the file."""
        return not self._lines

    def add(self, line: str) -> None:
        """Queue a line."""
        self._lines.append(line.encode() + b"\n")

    def flush(self) -> None:
        """Hand every queued line to the system; after an OSError all of them are still queued."""
        text = b"".join(self._lines)
        if self._file.tell() != self._end:
            # Half a line from a write that failed.
            self._file.truncate(self._end)
            self._file.seek(self._end)
        done = 0
        while done < len(text):
            done += self._file.write(text[done:]) or 0
        self._end += len(text)
        self._lines.clear()

    def sync(self) -> None:
        """Flush, and wait until the disk has it."""
        self.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Run:
    """A run that was written to disk.

    Attributes
    ----------
    summary, start: None in an unfinished run (`start` also if no round was ever opened).
    lost_writes: writes that failed while the run went on.
    """

    path: Path
    settings: RunSettings
    summary: RunSummary | None
    start: RunStart | None
    lost_writes: int

    @classmethod
    def open(cls, path: Path, *, allow_unfinished: bool = False) -> Run:
        """Read a run's directory.

        Raises
        ------
        DataError: no run is there, it is damaged, or it is unfinished and that is not allowed.
        """
        if not (path / CONFIG).is_file():
            raise DataError(
                f"{path} holds no run: there is no {CONFIG}; name a directory that"
                " `erasurehead train` wrote"
            )
        settings = _read_settings(path / CONFIG)
        if not (path / SUMMARY).is_file():
            if allow_unfinished:
                return cls(path, settings, None, None, 0)
            raise DataError(
                f"run {path} is unfinished: there is no {SUMMARY}, so it is still going on or was"
                " cut off; wait for its end or run it again"
            )
        held = _parse(path / SUMMARY, (path / SUMMARY).read_bytes())
        if not isinstance(held, dict):
            raise DataError(f"{path / SUMMARY} is damaged: it should hold one JSON object")
        start = held.pop("start", None)
        lost_writes = held.pop("lost_writes", 0)
        try:
            return cls(
                path,
                settings,
                _SUMMARY.validate_python(_nulls_to_nan(held)),
                None if start is None else _START.validate_python(_nulls_to_nan(start)),
                int(lost_writes),
            )
        except (ValidationError, TypeError, ValueError) as error:
            raise DataError(f"{path / SUMMARY} is damaged: {_reason(error)}") from None

    def __iter__(self) -> Iterator[RoundRecord]:
        """Yield the rounds in order, reading as it goes.

        Raises
        ------
        DataError: a line is damaged, out of order, or (in a finished run) missing.
        """
        path = self.path / ROUNDS
        last: int | None = None
        count = 0
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if self.summary is None and not line.endswith(b"\n"):
                        return  # the line that was being written when the run was cut off
                    record = _record(path, number, line)
                    if last is not None and record.round <= last:
                        raise DataError(
                            f"{path} is damaged: line {number} holds round {record.round} after"
                            f" round {last}"
                        )
                    last = record.round
                    count += 1
                    yield record
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None
        if self.summary is not None and count != self.summary.rounds:
            raise DataError(
                f"{path} is damaged: it holds {count} rounds, but {SUMMARY} says"
                f" {self.summary.rounds}"
            )

    @cached_property
    def records(self) -> list[RoundRecord]:
        """Every round, in order."""
        return list(self)

    @cached_property
    def model(self) -> Mapping[str, Any]:
        """What ``model.npz`` holds: ``theta``, shape (columns,), and its metadata.

        Raises
        ------
        DataError: the file is missing or damaged.
        """
        path = self.path / MODEL
        try:
            with np.load(path, allow_pickle=False) as archive:
                held = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise DataError(f"run {self.path} holds no model: there is no {MODEL}") from None
        except Exception as error:  # numpy and zipfile raise a dozen kinds for a broken archive
            raise DataError(f"{path} is damaged: {_reason(error)}") from None
        theta = held.get("theta")
        if theta is None or theta.ndim != 1 or theta.dtype.kind != "f":
            raise DataError(f"{path} is damaged: it should hold 'theta', one number a column")
        return {n: v if n == "theta" else v.item() for n, v in held.items()}

    @property
    def theta(self) -> npt.NDArray[np.float64]:
        """The model, shape (columns,)."""
        theta: npt.NDArray[np.float64] = self.model["theta"]
        return theta


def _read_settings(path: Path) -> RunSettings:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        cls = MasterSettings if isinstance(tree, dict) and "bind" in tree else RunSettings
        # The run's own file alone: what the environment says today was not so then.
        return load(cls, {}, config=path, environment={})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ErasureHeadError) as error:
        raise DataError(f"{path} is damaged: {_reason(error)}") from None


def _record(path: Path, number: int, line: bytes) -> RoundRecord:
    held = _nulls_to_nan(_parse(path, line, f"line {number} of "))
    try:
        return _RECORD.validate_python(held)
    except ValidationError as error:
        raise DataError(f"line {number} of {path} is damaged: {_reason(error)}") from None


def _parse(path: Path, text: bytes, where: str = "") -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}{path} is damaged: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return one line about an error of a library."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    return " ".join(str(error).split())


def _to_json(value: Any, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else None
    try:
        return json.dumps(value, allow_nan=False, indent=indent, separators=separators)
    except ValueError:
        return json.dumps(_nan_to_nulls(value), indent=indent, separators=separators)


def _nan_to_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _nan_to_nulls(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_nulls(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nulls_to_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _nulls_to_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_nulls_to_nan(v) for v in value]
    return math.nan if value is None else value


def _replace(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file so that its name always stands for a whole one, even after a power cut."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
