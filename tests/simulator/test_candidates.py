"""The schemes that a search chooses from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.straggling import DELAYS
from erasurehead_simulator.planner.candidates import (
    COARSE,
    FINE,
    Candidate,
    Traits,
    candidates,
)
from erasurehead_simulator.planner.search_space import Pairing, load_of, pairings

DELAY = "exponential:mean_s=0.5"


R1, R2 = Spec("fraction", {"r": "1"}), Spec("fraction", {"r": "2"})


def searched(workers: int, max_load: int, *, alike: bool = True) -> list[Pairing]:
    return list(pairings(workers, None, max_load, 0, alike=alike))


def pairing(text: str, workers: int = 12) -> Pairing:
    scheme = parse(f"{text} / fraction:r=1")
    code = Coding.of(scheme, workers).code
    return Pairing(scheme.code, scheme.decoder, code, load_of(code), cacheable=True)


def candidate(text: str, workers: int = 12, load: float | None = None) -> Candidate:
    scheme = parse(text)
    code = Coding.of(scheme, workers).code
    return Candidate(scheme, load_of(code) if load is None else load, Traits.of(scheme, code))


@pytest.mark.parametrize("workers", [3, 7, 12])
def test_every_pairing_exists_within_the_load(workers: int) -> None:
    found = searched(workers, 3)
    assert len({c.scheme(R1) for c in found}) == len(found) > 30
    for one in found:
        assert load_of(Coding.of(one.scheme(R2), workers).code) == one.load <= 3
        if not one.cacheable:
            with pytest.raises(UsageError):
                Coding.of(one.scheme(R2, Spec("saga")), workers)
    assert {c.load for c in found} >= {1, 2, 3}


def test_every_code_and_decoder_is_searched() -> None:
    """Wherever it exists: 13 points have a projective plane, and 12 many divisors."""
    found = [c.scheme(R1) for workers in (12, 13) for c in searched(workers, 4, alike=False)]
    assert {s.code.name for s in found} == set(CODES)
    assert {s.decoder.name for s in found} == set(DECODERS)
    scales = {str(s.decoder) for s in found if s.code.name == "frc"}
    assert scales >= {f"first-copy:scale={x}" for x in ("none", "unbiased", "group", "coverage")}
    assert {f"fixed:shrink={x}" for x in ("none", "mse")} <= scales


@pytest.mark.parametrize("seed", range(3))
def test_codes_with_rows_on_nobody_are_left_out(seed: int) -> None:
    """Eight batches for twelve workers: now and then one is drawn by nobody."""
    found = {str(c.code): c.built for c in pairings(12, 24, 2, seed, alike=True)}
    assert all(code.replication.all() for code in found.values())
    drawn = Coding.of(parse("coupon:c=3 / first-copy / fraction:r=1"), 12, 24, seed).code
    assert ("coupon:c=3" in found) <= bool(drawn.replication.all())


@pytest.mark.parametrize(
    ("workers", "tasks", "max_load", "code", "load"),
    [
        (12, 4, 3, "frc:c=1", 3),
        (12, 6, 4, "frc:c=1", 2),
        (12, 6, 4, "pairwise-balanced:d=4", 4),
        (3, 1, 3, "frc:c=1", 3),
        (12, 3, 4, "reed-solomon:s=3", 4),
        (12, 24, 3, "frc:c=6", 3),
        (12, 24, 3, "reed-solomon:s=2", 3),
    ],
)
def test_tasks_need_not_be_as_many_as_workers(
    workers: int, tasks: int, max_load: int, code: str, load: float
) -> None:
    found = {str(c.code): c.load for c in pairings(workers, tasks, max_load, 0, alike=True)}
    assert found[code] == load
    assert max(found.values()) <= max_load


def test_what_learns_who_is_late_is_searched_where_slots_differ_only() -> None:
    learning = {"osgc", "matched-cyclic"}
    for alike in (True, False):
        texts = [str(c.code) for c in searched(12, 3, alike=alike)]
        assert any("groups=balanced" in text for text in texts) != alike
        assert any(text.startswith(tuple(learning)) for text in texts) != alike
    # It may come to hold more than it begins with.
    uneven = searched(12, 3, alike=False)
    assert {c.load for c in uneven if str(c.code) == "osgc:max_load=3"} == {3}


def test_all_kinds_and_rules_are_searched() -> None:
    delays = DELAYS.build(DELAY, 12, 0)
    fine = list(candidates(pairing("frc:c=3 / first-copy:scale=coverage"), FINE, delays, 0.3))
    kinds = {"exact", "approximate", "adaptive", "saga", "sag", "svrg"}
    assert {c.kind for c in fine} == kinds
    rules = {c.scheme.stop.name for c in fine}
    assert rules == {"exact", "fraction", "deadline", "residual", "adaptive"}
    assert len({c.scheme for c in fine}) == len(fine)
    coarse = list(candidates(pairing("frc:c=3 / first-copy:scale=coverage"), COARSE, delays, 0.3))
    few = {c.scheme for c in coarse if c.scheme.stop.name != "deadline"}
    assert few < {c.scheme for c in fine}
    for found in fine:
        assert load_of(Coding.of(found.scheme, 12).code) == found.load == 3


def test_a_candidate_goes_by_the_name_it_was_asked_for_by_or_by_its_shortest() -> None:
    found = candidate("frc:c=2 / first-copy:scale=coverage / exact")
    assert found.text == "egc:c=2"
    assert replace(found, asked="frc:c=2").text == "frc:c=2"
    assert replace(found, asked="frc:c=2") == found


@pytest.mark.parametrize(
    ("text", "kind", "alone", "renews", "sums"),
    [
        ("egc:c=2", "exact", False, False, False),
        ("agc:c=2,r=3", "approximate", False, False, False),
        ("agc:c=2,deadline_s=1", "approximate", False, False, False),
        ("frc:c=2 / adaptive", "adaptive", True, False, False),
        ("frc:c=2 / first-copy / adaptive / saga", "saga", True, True, False),
        ("egc:c=2,cache=saga", "saga", False, True, False),
        ("agc:c=2,r=3,cache=sag", "sag", False, True, True),
        ("agc:c=2,r=3,cache=svrg:every=9", "svrg", True, False, False),
    ],
)
def test_traits_follow_from_what_the_parts_say(
    text: str, kind: str, alone: bool, renews: bool, sums: bool
) -> None:
    assert candidate(text).traits == Traits(kind, alone, renews, sums)


def test_what_differs_in_the_cache_alone_has_the_same_arrivals() -> None:
    saga = candidate("agc:c=2,r=3,cache=saga")
    assert saga.arrivals == candidate("agc:c=2,r=3").arrivals
    assert saga.arrivals != candidate("agc:c=2,r=4").arrivals


def test_loads_between_whole_ones_are_rivals_of_the_next() -> None:
    loads = (1, 4 / 3, 2, 2.0000000001)
    assert [candidate("uncoded", load=load).whole_load for load in loads] == [1, 2, 2, 2]


def test_deadlines_can_be_met() -> None:
    """A quantile of the very times, computing included."""
    uncoded = pairing("uncoded / first-copy:scale=coverage", 4)
    found = candidates(uncoded, FINE, DELAYS.build("none", 4, 0), 0.8)
    plain = {c.text for c in found if c.kind == "approximate"}
    deadlines = {text for text in plain if "deadline" in text}
    assert deadlines == {"uncoded:deadline_s=0.2"}
