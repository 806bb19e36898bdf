"""The arguments that are settings: the same names, kinds and sentences as on the command line.

`Settings` is written out for type checkers and editors; `tests/face/test_arguments.py` compares it
with the tree of settings, so that the two never part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from erasurehead.settings import spellings
from erasurehead.settings.sources import S, load

Group = Mapping[str, Any]
"""Settings of a group by their names in it: ``wire={"format": "f4"}``."""


class Settings(TypedDict, total=False):
    """Settings of a run (docs/settings.md); what is left out, or None, keeps its default."""

    plugin: str | Sequence[str] | None
    model: str | None
    intercept: bool | None
    l2: float | str | None
    l1: float | None
    scheme: str | None
    workers: int | None
    tasks: int | None
    delay: str | None
    optimizer: str | None
    step: float | str | None
    batch: float | None
    rounds: int | None
    until: str | Sequence[str] | None
    evaluate_every_rounds: int | None
    seed: int | None
    out: str | Path | None
    resume: bool | None
    track: str | Sequence[str] | None
    wire: Group | None
    membership: Group | None
    refit: Group | None
    checkpoint: Group | None
    limits: Group | None
    http: Group | None


def settings_from(
    cls: type[S],
    given: Mapping[str, Any],
    store: str,
    config: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    otherwise: Settings | None = None,
) -> S:
    """Return the settings that arguments, environment and file give together.

    Parameters
    ----------
    given: arguments by name; one that is None was not given.
    store: what is trained on.
    config: a YAML file of settings.
    environment: defaults to the process's own.
    otherwise: what takes the place of the defaults.

    Raises
    ------
    UsageError: an argument is unknown or wrong; the sentence is that of the command line.
    """
    tree = {name: _plain(value) for name, value in given.items() if value is not None}
    return load(
        cls,
        {**tree, "store": store},
        config=None if config is None else Path(config),
        environment=environment,
        otherwise=otherwise,
        given_as=("the arguments", spellings.PYTHON),
    )


def _plain(value: Any) -> Any:
    """Return numbers of numpy as those of Python, which is all that settings know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    return value
