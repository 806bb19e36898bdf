"""The trackers of a run, as observers of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from erasurehead.process.bulletin import Bulletin
from erasurehead.settings.leaves import key, settings_of
from erasurehead.settings.tree import RunSettings
from erasurehead.tracking import TRACKERS
from erasurehead.tracking.base import Tracked, Tracker
from erasurehead.tracking.kubeflow import KubeflowTracker, server_of
from erasurehead.tracking.observer import Tracking


def trackers_of(
    settings: RunSettings, directory: Path | None, trouble: Callable[[str], object]
) -> list[Tracking]:
    """Return what tracks a run: trackers that its settings name, and one of the run's place.

    Parameters
    ----------
    directory: of the run; None: it has none.
    trouble: told, in a sentence, when a tracker has failed.

    Raises
    ------
    UsageError: a tracker's library is not installed, or it refuses its options.
    """
    trackers: list[Tracker] = []
    if settings.run.track:
        tracked = _tracked(settings, directory)
        trackers += [TRACKERS.build(text, tracked) for text in settings.run.track]
    server = server_of(os.environ)
    if server is not None:
        trackers.append(KubeflowTracker(Bulletin(server)))
    return [Tracking(tracker, trouble) for tracker in trackers]


def _tracked(settings: RunSettings, directory: Path | None) -> Tracked:
    whole: Any = settings
    values = {key(s.path): reduce(getattr, s.path, whole) for s in settings_of(RunSettings)}
    told = {name: _text(value) for name, value in values.items() if value not in (None, ())}
    name = settings.coding.scheme if directory is None else directory.name
    return Tracked(name, None if directory is None else str(directory), told)


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
