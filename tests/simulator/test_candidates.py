"""The schemes a plan chooses from."""

from __future__ import annotations

import pytest

from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.errors import UsageError
from erasurehead.schemes.scheme import Scheme
from erasurehead.straggling import DELAYS
from erasurehead_simulator.planner.candidates import (
    COARSE,
    FINE,
    Candidate,
    Kind,
    candidate,
    candidates,
)
from erasurehead_simulator.planner.search_space import Coding, build, codings, load_of

DELAY = "exponential:mean_s=0.5"


def searched(workers: int, max_load: int, *, alike: bool = True) -> list[Coding]:
    return list(codings(workers, None, max_load, 0, alike=alike))


def coding(text: str, workers: int = 12) -> Coding:
    parts = build(f"{text} / fraction:r=1", workers, None, 0)
    return Coding(text, parts.code, load_of(parts.code), cacheable=True)


@pytest.mark.parametrize("workers", [3, 7, 12])
def test_every_coding_exists_within_the_load(workers: int) -> None:
    found = searched(workers, 3)
    assert len({c.text for c in found}) == len(found) > 30
    for one in found:
        parts = build(f"{one.text} / fraction:r=2", workers, None, 0)
        assert load_of(parts.code) == one.load <= 3
        estimate = " / saga"
        if not one.cacheable:
            with pytest.raises(UsageError):
                build(f"{one.text} / fraction:r=2{estimate}", workers, None, 0)
    assert {c.load for c in found} >= {1, 2, 3}


def test_every_code_and_decoder_is_searched() -> None:
    """Wherever it exists: 13 points have a projective plane, and 12 many divisors."""
    found = [
        Scheme.parse(f"{c.text} / fraction:r=1")
        for workers in (12, 13)
        for c in searched(workers, 4, alike=False)
    ]
    assert {s.code.name for s in found} == set(CODES)
    assert {s.decoder.name for s in found} == set(DECODERS)
    scales = {str(s.decoder) for s in found if s.code.name == "frc"}
    assert scales >= {f"first-copy:scale={x}" for x in ("none", "unbiased", "group", "coverage")}
    assert {f"fixed:shrink={x}" for x in ("none", "mse")} <= scales


@pytest.mark.parametrize("seed", range(3))
def test_codes_with_rows_on_nobody_are_left_out(seed: int) -> None:
    """Eight batches for twelve workers: now and then one is drawn by nobody."""
    found = {c.text.partition(" ")[0]: c.code for c in codings(12, 24, 2, seed, alike=True)}
    assert all(code.replication.all() for code in found.values())
    drawn = build("coupon:c=3 / first-copy / fraction:r=1", 12, 24, seed).code
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
    found = {
        c.text.partition(" ")[0]: c.load for c in codings(workers, tasks, max_load, 0, alike=True)
    }
    assert found[code] == load
    assert max(found.values()) <= max_load


def test_what_learns_who_is_late_is_searched_where_slots_differ_only() -> None:
    learning = {"osgc", "matched-cyclic"}
    for alike in (True, False):
        texts = [c.text for c in searched(12, 3, alike=alike)]
        assert any("groups=balanced" in text for text in texts) != alike
        assert any(text.startswith(tuple(learning)) for text in texts) != alike
    # It may come to hold more than it begins with.
    uneven = searched(12, 3, alike=False)
    assert {c.load for c in uneven if c.text.startswith("osgc:max_load=3")} == {3}


def test_all_kinds_and_rules_are_searched() -> None:
    delays = DELAYS.build(DELAY, 12, 0)
    fine = list(candidates(coding("frc:c=3 / first-copy:scale=coverage"), FINE, delays, 0.3))
    assert {c.kind for c in fine} == set(Kind)
    rules = {Scheme.parse(c.scheme).stop.name for c in fine}
    assert rules == {"exact", "fraction", "deadline", "residual", "adaptive"}
    assert len({c.scheme for c in fine}) == len(fine)
    coarse = list(candidates(coding("frc:c=3 / first-copy:scale=coverage"), COARSE, delays, 0.3))
    few = {c.scheme for c in coarse if "deadline" not in c.scheme}
    assert few < {c.scheme for c in fine}
    for found in fine:
        parts = build(found.scheme, 12, None, 0)
        assert load_of(parts.code) == found.load == 3


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("frc:c=2 / first-copy:scale=coverage / exact", "egc:c=2"),
        ("frc:c=2 / first-copy:scale=coverage / fraction:r=3 / saga", "agc:c=2,r=3,cache=saga"),
        ("frc:c=2 / first-copy:scale=none / fraction:r=3", "agc:c=2,r=3,scale=none"),
        ("uncoded / first-copy:scale=coverage / deadline:after_s=0.2", "uncoded:deadline_s=0.2"),
        (
            "uncoded / first-copy:scale=coverage / fraction:r=2 / svrg:every=20",
            "uncoded:r=2,cache=svrg:every=20",
        ),
        ("frc:c=2 / first-copy:scale=group / exact", None),
        ("frc:c=2,groups=balanced / first-copy:scale=coverage / exact", None),
        ("frc:c=2 / first-copy:scale=coverage / adaptive", None),
        ("graph:d=2 / component / exact", None),
    ],
)
def test_a_scheme_goes_by_its_shortest_name(long: str, short: str | None) -> None:
    found = candidate(long, 2)
    assert found.scheme == (short or long)
    assert Scheme.parse(found.scheme) == Scheme.parse(long)


def test_what_differs_in_the_cache_alone_has_the_same_arrivals() -> None:
    saga = Candidate("agc:c=2,r=3,cache=saga", 2, Kind.SAGA)
    assert saga.arrivals == Candidate("agc:c=2,r=3", 2).arrivals
    assert saga.arrivals != Candidate("agc:c=2,r=4", 2).arrivals


def test_loads_between_whole_ones_are_rivals_of_the_next() -> None:
    assert [Candidate("", load).whole_load for load in (1, 4 / 3, 2, 2.0000000001)] == [1, 2, 2, 2]


def test_deadlines_can_be_met() -> None:
    """A quantile of the very times, computing included."""
    uncoded = coding("uncoded / first-copy:scale=coverage", 4)
    found = candidates(uncoded, FINE, DELAYS.build("none", 4, 0), 0.8)
    plain = {c.scheme for c in found if c.kind is Kind.APPROXIMATE}
    deadlines = {scheme for scheme in plain if "deadline" in scheme}
    assert deadlines == {"uncoded:deadline_s=0.2"}
