"""What `train` does on any engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erasurehead.errors import UsageError
from erasurehead.records import Observer
from erasurehead.settings.tree import RunSettings
from erasurehead_engines.engine import Engine, await_room
from erasurehead_engines.hosting import Site
from erasurehead_face.running.arguments import Settings, settings_from
from erasurehead_face.running.handed import ARRAYS
from erasurehead_face.running.problem import Problem
from erasurehead_face.running.run import Run
from erasurehead_face.running.watching import watched


@dataclass(frozen=True, eq=False)
class Arguments:
    """What a user gives to `train`, besides the engine; see there."""

    X: Any
    y: Any
    sample_weight: Any
    offset: Any
    test: tuple[Any, Any] | None
    bind: str | None
    insecure: bool
    progress: bool | None
    observers: Sequence[Observer]
    config: str | Path | None
    settings: Settings


def train_on(engine: Engine, given: Arguments) -> Run:
    """Train with the workers of an engine and return the run; see the engines' own functions."""
    settings: Settings = {**given.settings, "workers": await_workers(engine, given)}
    problem = Problem.of(
        given.X,
        given.y,
        settings,
        given.config,
        given.sample_weight,
        given.offset,
        given.test,
    )
    site = Site.of(engine, given.bind, insecure=given.insecure)
    with watched(given.observers, given.progress) as watching:
        return problem.run_elsewhere(watching, site.run)


def await_workers(engine: Engine, given: Arguments) -> int:
    """Return how many workers a run has: what it asks for, or what there is room for.

    Raises
    ------
    UsageError: a setting is wrong, or there is no room for as many.
    """
    store = str(given.X) if isinstance(given.X, str | Path) else ARRAYS
    asked = settings_from(RunSettings, given.settings, store, given.config)
    named = "workers" in asked.coding.model_fields_set
    return await_room(engine, asked.coding.workers if named else None, asked.membership)


def missing(engine: str, package: str, extra: str) -> UsageError:
    """Return the error that an engine's package is not installed."""
    return UsageError(
        f"runs on {engine} need the package {package}; install 'erasurehead[{extra}]'"
    )
