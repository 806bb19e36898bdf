"""Values of a wrong kind or size are refused in words of our own, for settings and options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from erasurehead.errors import UsageError
from erasurehead.misfits import misfit
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse


def refuse(value: int) -> int:
    raise ValueError("no number is good enough")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, "2.5", "give --x a whole number"),
        (int, 2.5, "give --x a whole number"),
        (int, [], "give --x a whole number"),
        (int, "9" * 5000, "give --x a whole number of fewer digits"),
        (float, "much", "give --x a number"),
        (float, [], "give --x a number"),
        (bool, "perhaps", "give --x yes or no"),
        (bool, [], "give --x yes or no"),
        (str, [], "give --x a text"),
        (tuple[str, ...], 3, "give --x a text, or a list of them"),
        (Annotated[float, Field(allow_inf_nan=False)], "inf", "give --x a finite number"),
        (Annotated[int, Field(ge=1)], "0", "give --x a whole number of at least 1"),
        (Annotated[int, Field(lt=2**31)], 2**31, "give --x a whole number below 2147483648"),
        (Annotated[float, Field(gt=0)], "0", "give --x a number above 0"),
        (Annotated[float, Field(le=0.5)], "1", "give --x a number of at most 0.5"),
        (Literal["a", "b", "c"], "d", "give --x 'a', 'b' or 'c'"),
    ],
)
def test_what_was_expected_is_said(kind: Any, value: object, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert misfit("this", "--x", caught.value) == f"this does not fit; {expected}"


def test_what_we_have_no_words_for_is_said_in_pydantics() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Annotated[int, AfterValidator(refuse)]).validate_python(1)
    said = misfit("this", "--x", caught.value)
    assert said == "this does not fit: Value error, no number is good enough"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("frc:c=2.5 / first-copy / exact", "option c=2.5 of code 'frc' does not fit; give c a wh"),
        ("egc:c=x", "option c=x of scheme 'egc' does not fit; give c a whole number"),
        ("bernoulli:c=x / least-squares / fraction:r=3", "give c a number"),
        (
            "partial:s=2,alpha=2,inner=frk / least-squares / exact",
            "option inner=frk of code 'partial' does not fit; give inner 'frc' or 'cyclic-rep",
        ),
    ],
)
def test_options_of_schemes(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        Coding.of(parse(text), 12)
    assert sentence in str(caught.value)
