"""The schemes a plan chooses from."""

from __future__ import annotations

import pytest

from erasurehead.errors import UsageError
from erasurehead.straggling import DELAYS
from erasurehead_simulator.candidates import build_candidate, candidates, load_of

DELAY = "exponential:mean_s=0.5"


@pytest.mark.parametrize("workers", [3, 7, 12])
def test_every_candidate_exists_within_the_load(workers: int) -> None:
    found = candidates(workers, None, 3, DELAYS.build(DELAY, workers, 0), 0.3)
    assert len({c.scheme for c in found}) == len(found) > 10
    for candidate in found:
        parts = build_candidate(candidate.scheme, workers, None, 0)
        assert load_of(parts.code) == candidate.load <= 3
    assert any(c.scheme == "uncoded" and c.exact and c.load == 1 for c in found)
    assert {c.load for c in found} >= {1, 2, 3}


def test_deadlines_can_be_met() -> None:
    """A quantile of the very times, computing included."""
    found = candidates(4, None, 1, DELAYS.build("none", 4, 0), 0.8)
    deadlines = {c.scheme for c in found if "deadline" in c.scheme}
    assert deadlines == {"uncoded:deadline_s=0.2"}


def test_further_schemes_come_whatever_their_load() -> None:
    delays = DELAYS.build(DELAY, 6, 0)
    found = candidates(6, None, 1, delays, 0.0, ["egc:c=6"])
    assert found[0].scheme == "egc:c=6"
    assert found[0].exact
    assert found[0].load == 6
    with pytest.raises(UsageError, match="c=9"):
        candidates(6, None, 1, delays, 0.0, ["egc:c=9"])


@pytest.mark.parametrize("load", [0, 7])
def test_an_impossible_load_is_one_sentence(load: int) -> None:
    with pytest.raises(UsageError, match=f"--max-load {load} does not fit 6 workers"):
        candidates(6, None, load, DELAYS.build(DELAY, 6, 0), 0.0)
