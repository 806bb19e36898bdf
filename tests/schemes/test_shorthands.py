"""Schemes of the papers as typed values."""

from __future__ import annotations

import pytest

from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.scheme import Scheme
from erasurehead.schemes.shorthands import agc, cached, egc, uncoded
from erasurehead.schemes.text import parse
from erasurehead.stopping import STOPS


def test_constructors_give_what_their_texts_give() -> None:
    assert uncoded() == parse("uncoded")
    assert uncoded(r=20) == parse("uncoded:r=20")
    assert egc(c=3, cache="saga") == parse("egc:c=3,cache=saga")
    assert agc(c=3, r=11) == parse("agc:c=3,r=11")
    assert agc(c=3, delta=0.37, scale="none") == parse("agc:c=3,delta=0.37,scale=none")
    assert agc(c=2, deadline_s=0.5) == parse("agc:c=2,deadline_s=0.5")


def test_the_usual_scheme_is_short_rounds_of_repetition_with_a_cache() -> None:
    assert cached() == parse("frc / first-copy:scale=coverage / fraction:delta=0.1,least=2 / sag")
    assert cached(c=4, r=5) == parse("agc:c=4,r=5,cache=sag")
    assert cached(delta=0.2) == parse(
        "frc / first-copy:scale=coverage / fraction:delta=0.2,least=2 / sag"
    )
    with pytest.raises(UsageError, match="not by r and delta"):
        cached(r=3, delta=0.5)


@pytest.mark.parametrize(
    ("n_workers", "n_groups", "arrivals"),
    [(2, 2, 2), (3, 2, 2), (4, 2, 2), (5, 2, 2), (8, 3, 2), (12, 4, 2), (30, 10, 3)],
)
def test_the_usual_scheme_fits_any_number_of_workers(
    n_workers: int, n_groups: int, arrivals: int
) -> None:
    coding = Coding.of(cached(), n_workers)
    assert coding.code.n_units == n_groups
    assert STOPS.build(coding.scheme.stop, coding.code).arrivals == arrivals
    assert coding.code.replication.min() >= min(2, n_workers // 2)


def test_a_scheme_is_a_value() -> None:
    scheme = Scheme(
        Spec("frc", {"c": "3"}), Spec("first-copy", {"scale": "coverage"}), Spec("exact")
    )
    assert scheme == egc(c=3)
    assert len({scheme, egc(c=3), egc(c=2)}) == 2
    assert Spec("frc", {"c": "3", "groups": "balanced"}) in {
        Spec("frc", {"groups": "balanced", "c": "3"})
    }


def test_a_round_closes_by_one_rule() -> None:
    with pytest.raises(UsageError, match="needs r, delta or deadline_s"):
        agc(c=3)
    with pytest.raises(UsageError, match="not by r and deadline_s"):
        uncoded(r=3, deadline_s=1.0)
    with pytest.raises(UsageError, match="did you mean 'saga'"):
        egc(c=3, cache="sagga")
