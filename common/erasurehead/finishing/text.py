"""How conditions are written: ``gap:1e-3``, ``metric:auc=0.7,patience=20``."""

from __future__ import annotations

from collections.abc import Iterable

from erasurehead.errors import UsageError
from erasurehead.finishing import CONDITIONS
from erasurehead.finishing.base import Condition
from erasurehead.registry import Spec

NONE = "none"
"""Stands for no condition at all."""


def build_condition(text: str) -> Condition:
    """Read a condition.

    Its first option stands right after the name, without its own name, and may contain a '='.

    Raises
    ------
    UsageError: it is unknown, or an option is missing, unknown or out of range.
    """
    name, _, rest = text.strip().partition(":")
    first, _, others = rest.partition(",")
    options = list(CONDITIONS.options(name))
    if not options or not first.strip() or first.partition("=")[0].strip() in options:
        return CONDITIONS.build(text)
    spec = Spec.parse(f"{name}:{others}" if others else name)
    if options[0] in spec.options:
        raise UsageError(f"'{options[0]}' is given twice in '{text}'; give it once")
    return CONDITIONS.build(Spec(name, {options[0]: first.strip(), **spec.options}))


def check_conditions(texts: Iterable[str]) -> None:
    """Refuse texts of which one is no condition.

    Raises
    ------
    UsageError: as `build_condition`.
    """
    for text in texts:
        build_condition(text)


def condition_forms() -> list[str]:
    """Return what may be written: each name with what stands after it."""
    return [NONE, *(_form(name) for name in CONDITIONS)]


def _form(name: str) -> str:
    first, *others = CONDITIONS.options(name) or [""]
    after = [first.upper(), *(f"{other}=" for other in others)]
    return f"{name}:{','.join(after)}" if first else name
