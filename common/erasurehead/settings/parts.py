"""Settings that name a part from a registry: their types know what may be written.

A registry is looked up when a value is checked or help is printed, and not before. So parts that
were registered meanwhile count, and the command line starts without numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from erasurehead.errors import UsageError
from erasurehead.registry import Registry

RECORDED = "recorded"
"""Key of the validation's context: true for values that a run was made with, which are past
checking. The part may be gone since, or be registered by a plug-in that is not loaded."""

MISNAMED = "misnamed"
"""Type of the validation's error; its message says what is known instead."""


@dataclass(frozen=True)
class Choice:
    """What a text may be, as metadata of its type.

    Attributes
    ----------
    forms: returns what may be written, options that must be given included.
    check: called with a value, a text or several; raises UsageError if nothing is called so.
    """

    forms: Callable[[], Iterable[str]]
    check: Callable[[Any], object]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check a value after pydantic has found it to be a text, or several."""
        return core_schema.with_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: Any, info: ValidationInfo) -> Any:
        if not (info.context or {}).get(RECORDED):
            try:
                self.check(value)
            except UsageError as error:
                raise PydanticCustomError(MISNAMED, "{reason}", {"reason": str(error)}) from None
        return value


def named(find: Callable[[], Registry[Any]], *besides: str) -> Choice:
    """Return the choice among the parts of a registry, and some words besides."""

    def check(text: str) -> None:
        if text not in besides:
            find().check(text)

    return Choice(lambda: [*besides, *find().forms()], check)


def _delays() -> Registry[Any]:
    from erasurehead.straggling import DELAYS

    return DELAYS


def _models() -> Registry[Any]:
    from erasurehead.models import MODELS

    return MODELS


def _methods() -> Registry[Any]:
    from erasurehead.optimizing import METHODS

    return METHODS


def _formats() -> Registry[Any]:
    from erasurehead.wire.vectors import FORMATS

    return FORMATS


def _step_forms() -> list[str]:
    from erasurehead.optimizing.making import AUTOMATIC
    from erasurehead.optimizing.steps import STEP_SIZES

    return [AUTOMATIC, "a number", *STEP_SIZES.forms()]


def _check_step(text: str) -> None:
    from erasurehead.optimizing.making import AUTOMATIC
    from erasurehead.optimizing.steps import build_step_size

    if text != AUTOMATIC:
        build_step_size(text)


def _scheme_forms() -> list[str]:
    from erasurehead.schemes.shorthands import SHORTHANDS

    return [*SHORTHANDS.forms(), "code / decoder / stop rule / estimate"]


def _check_scheme(text: str) -> None:
    from erasurehead.schemes.text import parse

    parse(text)


def _condition_forms() -> list[str]:
    from erasurehead.finishing.text import condition_forms

    return condition_forms()


def _check_conditions(texts: Iterable[str]) -> None:
    from erasurehead.finishing.text import check_conditions

    check_conditions(texts)


def _several(given: Any) -> Any:
    """Return the texts that a source gives: a list, or one text with spaces between them."""
    every = given.split() if isinstance(given, str) else given
    return [each for each in every if each != "none"] if isinstance(every, list | tuple) else every


def _trackers() -> Registry[Any]:
    from erasurehead.tracking import TRACKERS

    return TRACKERS


def _check_trackers(texts: Iterable[str]) -> None:
    for text in texts:
        _trackers().check(text)


SchemeText = Annotated[str, Choice(_scheme_forms, _check_scheme)]
DelayText = Annotated[str, named(_delays)]
ModelText = Annotated[str, named(_models)]
OptimizerText = Annotated[str, named(_methods, "auto")]
StepText = Annotated[str, Choice(_step_forms, _check_step)]
ConditionTexts = Annotated[
    tuple[str, ...],
    BeforeValidator(_several),
    Choice(_condition_forms, _check_conditions),
]
FormatText = Annotated[str, named(_formats, "auto")]
DifferencesText = Annotated[str, named(_formats, "auto", "none")]
TrackerTexts = Annotated[
    tuple[str, ...],
    BeforeValidator(_several),
    Choice(lambda: _trackers().forms(), _check_trackers),
]
