"""The trackers that the settings of a run name, as observers of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from erasurehead.settings.leaves import key, settings_of
from erasurehead.settings.tree import RunSettings
from erasurehead.tracking import TRACKERS
from erasurehead.tracking.base import Tracked
from erasurehead.tracking.observer import Tracking


def trackers_of(
    settings: RunSettings, directory: Path | None, trouble: Callable[[str], object]
) -> list[Tracking]:
    """Return what tracks a run.

    Parameters
    ----------
    directory: of the run; None: it has none.
    trouble: told, in a sentence, when a tracker has failed.

    Raises
    ------
    UsageError: a tracker's library is not installed, or it refuses its options.
    """
    if not settings.run.track:
        return []
    whole: Any = settings
    values = {key(s.path): reduce(getattr, s.path, whole) for s in settings_of(RunSettings)}
    told = {name: _text(value) for name, value in values.items() if value not in (None, ())}
    name = settings.coding.scheme if directory is None else directory.name
    tracked = Tracked(name, None if directory is None else str(directory), told)
    return [Tracking(TRACKERS.build(text, tracked), trouble) for text in settings.run.track]


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
