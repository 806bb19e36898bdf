"""What methods are told of the rounds to come."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead_master.run.round_kinds import kind_of_rounds


@pytest.mark.parametrize(
    ("scheme", "exact", "n_units"),
    [
        ("uncoded", True, 0),
        ("egc:c=3", True, 0),
        ("agc:c=3,r=5", False, 0),
        ("agc:c=3,r=5,cache=saga", False, 0),
        ("agc:c=3,r=5,cache=sag", False, 4),
        ("uncoded:r=3,cache=sag", False, 12),
        ("frc:c=3 / first-copy / exact / sag", True, 4),
        ("frc:c=3 / first-copy / deadline:after_s=1 / sag", False, 4),
    ],
)
def test_the_kind_of_rounds(scheme: str, exact: bool, n_units: int) -> None:
    coding = Coding.of(parse(scheme), 12)
    kind = kind_of_rounds(coding, coding.estimate(1))
    assert (kind.exact, kind.n_units) == (exact, n_units)
    assert (kind.units_a_round > 0) == (n_units > 0)


@pytest.mark.parametrize("r", [1, 3, 7, 12])
def test_how_many_units_a_round_renews(r: int) -> None:
    """As often as r slots of 12 fall on so many of four groups of three."""
    coding = Coding.of(parse(f"frc:c=3 / first-copy / fraction:r={r} / sag"), 12)
    rng, groups = np.random.default_rng(0), np.arange(12) // 3
    drawn = [len(set(groups[rng.permutation(12)[:r]].tolist())) for _ in range(4000)]
    kind = kind_of_rounds(coding, coding.estimate(1))
    assert kind.units_a_round == pytest.approx(np.mean(drawn), rel=0.02)


def test_all_units_are_renewed_where_rounds_wait_for_all() -> None:
    coding = Coding.of(parse("frc:c=3 / first-copy / exact / sag"), 12)
    assert kind_of_rounds(coding, coding.estimate(1)).units_a_round == 4
