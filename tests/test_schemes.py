"""Scheme texts: shorthands, the long form, round trips and their errors."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.schemes import Scheme
from erasurehead.stopping.fraction import FractionStop


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("uncoded", "uncoded / first-copy:scale=none / exact"),
        ("uncoded:r=20", "uncoded / first-copy:scale=coverage / fraction:r=20"),
        ("egc:c=3", "frc:c=3 / first-copy:scale=none / exact"),
        ("agc:c=3,r=11", "frc:c=3 / first-copy:scale=coverage / fraction:r=11"),
        (
            "agc:c=3,delta=0.37,scale=unbiased",
            "frc:c=3 / first-copy:scale=unbiased / fraction:delta=0.37",
        ),
        ("agc:c=3,deadline_s=0.2", "frc:c=3 / first-copy:scale=coverage / deadline:after_s=0.2"),
    ],
)
def test_shorthands_and_round_trips(short: str, long: str) -> None:
    scheme = Scheme.parse(short)
    assert str(scheme) == short
    assert scheme.long_form == long
    assert Scheme.parse(long) == scheme
    assert Scheme.parse(str(Scheme.parse(long))) == scheme
    assert scheme.exact == long.endswith("exact")


def test_building_gives_parts_that_fit() -> None:
    built = Scheme.parse("agc:c=3,r=11").build(30, None, np.random.default_rng(0))
    assert built.code.n_tasks == 30
    assert built.decoder.code is built.code
    assert isinstance(built.stop, FractionStop)
    assert built.stop.r == 11
    assert built.estimator == "sum"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agd:c=3", "did you mean 'agc'"),
        ("agc:c=3", "needs r, delta or deadline_s"),
        ("agc:c=3,r=3,delta=0.5", "one rule"),
        ("egc", "needs c"),
        ("frc:c=3 / first-copy", "2 parts"),
        ("frc:c=3 / first-copi / exact", "did you mean 'first-copy'"),
        ("frc:c=3 / first-copy / exact / sum / sum", "5 parts"),
        ("", "names nothing"),
    ],
)
def test_bad_texts_are_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Scheme.parse(text)


@pytest.mark.parametrize(
    ("text", "k", "n", "words"),
    [
        ("egc:c=40", 30, None, "c=40 does not fit 30 tasks"),
        ("agc:c=3,r=31", 30, None, "r=31 arrivals cannot close a round of 30 workers"),
        ("agc:c=3,r=11,scale=foo", 30, None, "scale=foo"),
        ("uncoded", 5, 3, "3 tasks are too few for 5"),
        ("uncoded", 0, None, "0 workers"),
        ("uncoded", 1, 0, "0 tasks"),
    ],
)
def test_parts_that_do_not_fit_are_one_sentence(
    text: str, k: int, n: int | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Scheme.parse(text).build(k, n, np.random.default_rng(0))
