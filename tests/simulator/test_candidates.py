"""The schemes a plan chooses from."""

from __future__ import annotations

import pytest

from erasurehead.errors import UsageError
from erasurehead.straggling import DELAYS
from erasurehead_simulator.candidates import Candidate, Kind, build_candidate, candidates, load_of

DELAY = "exponential:mean_s=0.5"


@pytest.mark.parametrize("workers", [3, 7, 12])
def test_every_candidate_exists_within_the_load(workers: int) -> None:
    found = candidates(workers, None, 3, DELAYS.build(DELAY, workers, 0), 0.3)
    assert len({c.scheme for c in found}) == len(found) > 10
    for candidate in found:
        parts = build_candidate(candidate.scheme, workers, None, 0)
        assert load_of(parts.code) == candidate.load <= 3
    assert any(c.scheme == "uncoded" and c.kind is Kind.EXACT and c.load == 1 for c in found)
    assert {c.load for c in found} >= {1, 2, 3}


def test_all_kinds_are_searched() -> None:
    """Every scale, cache and rule; what learns which slots are late only where slots differ."""
    alike = candidates(12, None, 3, DELAYS.build(DELAY, 12, 0), 0.3)
    assert {c.kind for c in alike} == set(Kind)
    texts = " | ".join(c.scheme for c in alike)
    for part in ("scale=none", "scale=unbiased", "scale=group", "deadline_s=", "adaptive / sag"):
        assert part in texts
    assert "balanced /" not in texts
    assert "osgc" not in texts
    slow = DELAYS.build("persistent:count=3,slow_s=5,jitter_s=0.2", 12, 0)
    uneven = candidates(12, None, 3, slow, 0.3)
    assert any(c.scheme.startswith("osgc:max_load=3 / fixed / fraction") for c in uneven)
    assert all(c.load == 3 for c in uneven if c.scheme.startswith("osgc:max_load=3"))
    assert any("groups=balanced" in c.scheme for c in uneven)


def test_what_differs_in_the_cache_alone_has_the_same_arrivals() -> None:
    saga = Candidate("agc:c=2,r=3,cache=saga", 2, Kind.SAGA)
    assert saga.arrivals == Candidate("agc:c=2,r=3", 2).arrivals
    assert saga.arrivals != Candidate("agc:c=2,r=4", 2).arrivals


def test_deadlines_can_be_met() -> None:
    """A quantile of the very times, computing included."""
    found = candidates(4, None, 1, DELAYS.build("none", 4, 0), 0.8)
    plain = {c.scheme for c in found if c.kind is Kind.APPROXIMATE}
    deadlines = {scheme for scheme in plain if "deadline" in scheme}
    assert deadlines == {"uncoded:deadline_s=0.2"}


def test_further_schemes_come_whatever_their_load() -> None:
    delays = DELAYS.build(DELAY, 6, 0)
    found = candidates(6, None, 1, delays, 0.0, ["egc:c=6"])
    assert found[0].scheme == "egc:c=6"
    assert found[0].kind is Kind.EXACT
    assert found[0].load == 6
    with pytest.raises(UsageError, match="c=9"):
        candidates(6, None, 1, delays, 0.0, ["egc:c=9"])


@pytest.mark.parametrize("load", [0, 7])
def test_an_impossible_load_is_one_sentence(load: int) -> None:
    with pytest.raises(UsageError, match=f"--max-load {load} does not fit 6 workers"):
        candidates(6, None, load, DELAYS.build(DELAY, 6, 0), 0.0)
