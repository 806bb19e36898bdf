"""Reading a run's directory: whole, or refused with the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import TypeAdapter, ValidationError

from erasurehead.errors import DataError, ErasureHeadError, reason_of
from erasurehead.process.lock import holder_of
from erasurehead.records import RoundRecord, RunStart, RunSummary
from erasurehead.runs.layout import CONFIG, LOCK, MODEL, ROUNDS, SUMMARY
from erasurehead.runs.origin import Origin
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, RunSettings, SlurmSettings

if TYPE_CHECKING:
    from erasurehead.models.base import Model

_RECORD = TypeAdapter(RoundRecord)
_SUMMARY = TypeAdapter(RunSummary)
_START = TypeAdapter(RunStart | None)

ROOTS = (RunSettings, MasterSettings, SlurmSettings)
"""Of the settings that a run may have; the one that knows most of a file's names is the file's."""


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
            holder = holder_of(path / LOCK)
            if holder is not None:
                raise DataError(
                    f"run {path} is unfinished: it goes on ({holder or 'it has just begun'}); wait"
                    " for its end"
                )
            raise DataError(
                f"run {path} is unfinished: there is no {SUMMARY}, so it is still going on or was"
                " cut off; wait for its end; if it was trained, train --resume goes on with it"
            )
        try:
            held = json.loads((path / SUMMARY).read_bytes())
            if not isinstance(held, dict):
                raise TypeError("it should hold one JSON object")
            start, lost_writes = held.pop("start", None), int(held.pop("lost_writes", 0))
            return cls(
                path,
                settings,
                _SUMMARY.validate_python(_nulls_to_nan(held)),
                _START.validate_python(start and _renamed(_nulls_to_nan(start))),
                lost_writes,
            )
        except (OSError, ValueError, TypeError) as error:
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
            raise DataError(f"cannot read {path}: {reason_of(error)}") from None
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
        """What ``model.npz`` holds: ``theta``, shape (n_parameters,), and its metadata.

        Raises
        ------
        DataError: the file is missing or damaged.
        """
        path = self.path / MODEL
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                held = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise DataError(f"run {self.path} holds no model: there is no {MODEL}") from None
        except Exception as error:  # numpy and zipfile raise a dozen kinds for a broken archive
            raise DataError(f"{path} is damaged: {_reason(error)}") from None
        theta = held.get("theta")
        if theta is None or theta.ndim != 1 or theta.dtype.kind != "f":
            raise DataError(f"{path} is damaged: it should hold 'theta', one number a parameter")
        if not np.isfinite(theta).all():
            raise DataError(f"{path} is damaged: its 'theta' has numbers that are not finite")
        return _renamed({k: value if value.ndim else value.item() for k, value in held.items()})

    @property
    def theta(self) -> npt.NDArray[np.float64]:
        """The parameters, shape (n_parameters,)."""
        theta: npt.NDArray[np.float64] = self.model["theta"]
        return theta

    @cached_property
    def origin(self) -> Origin | None:
        """What the model was made from; None: it is of a version that did not keep it.

        Raises
        ------
        DataError: the file is missing or damaged.
        """
        return Origin.read(self.model, self.path / MODEL)

    @cached_property
    def learnt(self) -> Model:
        """The model of which `theta` are the parameters.

        Raises
        ------
        UsageError: this program does not have it.
        DataError: the file is missing or damaged.
        """
        from erasurehead.models import MODELS

        columns = self.model.get("columns", 0)
        if not isinstance(columns, int):
            raise DataError(f"{self.path / MODEL} is damaged: its 'columns' is no whole number")
        learnt = MODELS.build(str(self.model.get("model", "")), columns, None)
        if learnt.n_parameters != len(self.theta):
            raise DataError(
                f"{self.path / MODEL} is damaged: {learnt.spec} of {columns} columns has"
                f" {learnt.n_parameters} parameters, and it holds {len(self.theta)}"
            )
        return learnt


def _read_settings(path: Path) -> RunSettings:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        keys = set(tree) if isinstance(tree, dict) else set()
        cls = max(ROOTS, key=lambda root: len(keys & root.model_fields.keys()))
        # The run's own file alone: what the environment says today was not so then.
        return load(cls, {}, config=path, environment={}, recorded=True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ErasureHeadError) as error:
        raise DataError(f"{path} is damaged: {_reason(error)}") from None


def _renamed(held: dict[str, Any]) -> dict[str, Any]:
    """Return what is held under today's names: a model was called an objective until 0.2."""
    return {"model" if name == "objective" else name: value for name, value in held.items()}


def _record(path: Path, number: int, line: bytes) -> RoundRecord:
    try:
        return _RECORD.validate_python(_nulls_to_nan(json.loads(line)))
    except ValueError as error:
        raise DataError(f"line {number} of {path} is damaged: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return one line about an error of a library."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    return reason_of(error)


def _nulls_to_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _nulls_to_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_nulls_to_nan(v) for v in value]
    return math.nan if value is None else value
