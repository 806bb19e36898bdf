"""Values of a wrong kind or size, as pydantic found them, in words of our own."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "number_or_auto": "a number or the word auto",
    "finite_number": "a finite number",
    "bool_type": "yes or no",
    "bool_parsing": "yes or no",
    "string_type": "a text",
    "path_type": "a path",
    "tuple_type": "a text, or a list of them",
    "model_type": "settings of its own, each with a value",
}
"""What was expected, by pydantic's type of error."""

BOUNDS = {
    "greater_than_equal": ("ge", "of at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "of at most"),
    "less_than": ("lt", "below"),
}
"""The bound's key in an error's context and its word, by pydantic's type of error."""


def misfit(what: str, name: str, error: ValidationError) -> str:
    """Return one sentence on the first error: what does not fit, and what to give instead.

    Parameters
    ----------
    what: the value and whose it is (``setting 'workers' = '0' from the command line``).
    name: what the value is to be given to (``--workers``).
    """
    first = error.errors()[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind in BOUNDS:
        key, word = BOUNDS[kind]
        expected = f"{_number(context[key])} {word} {_text(context[key])}"
    elif kind == "literal_error":
        expected = context["expected"]
    elif kind in KINDS:
        expected = KINDS[kind]
    else:
        return f"{what} does not fit: {first['msg']}"
    return f"{what} does not fit; give {name} {expected}"


def _number(bound: Any) -> str:
    """Return what is bounded: pydantic keeps the bounds of whole numbers as whole numbers."""
    return "a whole number" if isinstance(bound, int) else "a number"


def _text(bound: Any) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
