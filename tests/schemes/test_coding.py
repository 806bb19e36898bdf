"""Schemes fitted to a number of workers, and the sessions that runs begin."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.regrouping import go_on, remember_alike, same_tasks
from erasurehead.schemes.text import parse
from erasurehead.stopping.fraction import FractionStop
from erasurehead.stopping.observing import LearningStop


def test_a_coding_has_parts_that_fit() -> None:
    coding = Coding.of(parse("agc:c=3,r=11"), 30)
    session = coding.begin()
    assert coding.code.n_tasks == 30
    assert session.decoder.code is coding.code
    assert isinstance(session.stop, FractionStop)
    assert session.stop.arrivals == 11
    assert not coding.remembers
    assert not coding.exact
    assert Coding.of(parse("egc:c=3"), 30).exact


def test_sessions_use_up_nothing_of_their_coding() -> None:
    """What one session is fed changes neither the coding nor the next session."""
    coding = Coding.of(parse("frc:c=2,groups=balanced / first-copy:scale=group / fraction:r=3"), 6)
    first, second = coding.begin(), coding.begin()
    before = second.learnt.slots.probabilities
    for _ in range(50):
        first.stop.observe([(slot, 0.1) for slot in (0, 1, 2)], 1.0)
    assert first.learnt.slots.probabilities[5] > 0.8
    for later in (second, coding.begin()):
        np.testing.assert_array_equal(later.learnt.slots.probabilities, before)
    with pytest.raises(dataclasses.FrozenInstanceError):
        coding.seed = 1  # type: ignore[misc]


def test_the_seed_decides_what_is_drawn() -> None:
    scheme = parse("bernoulli:c=3 / fraction:r=9")
    one, again, other = (Coding.of(scheme, 12, seed=seed).code for seed in (1, 1, 2))
    assert same_tasks(one, again)
    assert not same_tasks(one, other)


def test_another_size_is_drawn_from_the_same_seed() -> None:
    coding = Coding.of(parse("agc:c=4,delta=0.5"), 12, 24, seed=3)
    resized = coding.resized(10)
    assert resized.code.n_workers == 10
    assert resized.code.n_tasks == 24
    assert same_tasks(resized.code, Coding.of(coding.scheme, 10, 24, seed=3).code)


@pytest.mark.parametrize(
    ("cache", "remembers", "every"),
    [("sum", False, None), ("saga", True, None), ("sag", True, None), ("svrg:every=7", True, 7)],
)
def test_a_coding_knows_what_its_estimate_remembers(
    cache: str, remembers: bool, every: int | None
) -> None:
    coding = Coding.of(parse(f"frc:c=2 / first-copy / fraction:r=3 / {cache}"), 6)
    assert (coding.remembers, coding.snapshot_every) == (remembers, every)
    assert (coding.estimate(4).memory is not None) == remembers


@pytest.mark.parametrize(
    ("text", "k", "n", "words"),
    [
        ("egc:c=40", 30, None, "c=40 does not fit 30 tasks"),
        ("agc:c=3,r=31", 30, None, "r=31 arrivals cannot close a round of 30 workers"),
        ("agc:c=3,r=11,scale=foo", 30, None, "scale=foo"),
        ("uncoded", 5, 3, "3 tasks are too few for 5"),
        ("uncoded", 0, None, "0 workers"),
        ("uncoded", 1, 0, "0 tasks"),
        ("bernoulli:c=2 / least-squares / fraction:r=3 / saga", 6, None, "'bernoulli'"),
        ("uncoded:cache=svrg:every=0", 6, None, "every=0"),
        ("coupon:c=1 / exact", 6, None, "2 of 6 tasks on none of the 6 workers"),
        ("frc:c=3 / component / exact", 6, None, "'component'"),
        ("hybrid-sums:c1=2,c2=1,groups=3 / disjoint / exact", 12, None, "use another placement"),
        # Equal slots have coefficients of 1, but these slots will be learnt to differ.
        ("osgc:max_load=3 / disjoint / fraction:r=3", 6, None, "'disjoint'.*'osgc'"),
    ],
)
def test_parts_that_do_not_fit_are_one_sentence(
    text: str, k: int, n: int | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Coding.of(parse(text), k, n)


@pytest.mark.parametrize(
    ("text", "loses"),
    [
        ("agc:c=3,r=7", 1 / math.sqrt(12)),
        ("uncoded:r=11", 1 / math.sqrt(12)),
        ("agc:c=3,r=11", 0.0),  # of 12 workers, and no group is as large as what is missing
        ("egc:c=3", 0.0),
        ("uncoded", 0.0),
        ("agc:c=3,r=7,cache=sag", 0.0),
        ("agc:c=3,deadline_s=0.5", 0.0),
        ("cyclic-mds:s=3 / fraction:r=7", 0.0),
    ],
)
def test_what_rounds_lose_is_known_where_first_copies_are_added(text: str, loses: float) -> None:
    assert Coding.of(parse(text), 12).loses == pytest.approx(loses)


def test_decoders_that_need_probabilities_learn_them() -> None:
    """scale=group without given probabilities: the stop rule wraps an estimate, and dead slots
    become heavy stragglers of their groups."""
    session = Coding.of(parse("agc:c=1,deadline_s=1,scale=group"), 2).begin()
    for _ in range(300):
        session.stop.observe([(0, 0.1)], 1.0)
    session.decoder.begin()
    assert session.decoder.arrive(0) == pytest.approx(1.0, abs=0.05)
    assert session.decoder.arrive(1) == pytest.approx(20.0, rel=0.01)


def test_given_probabilities_are_used_for_code_and_decoder() -> None:
    text = "osgc:p=0.05/0.1/0.2/0.4/0.6 / fixed:p=0.05/0.1/0.2/0.4/0.6 / deadline:after_s=1"
    coding = Coding.of(parse(text), 5)
    session = coding.begin()
    assert coding.code.matrix.toarray()[0].tolist()[:2] == [1.0, 1.0]
    assert session.decoder.arrive(4) == pytest.approx(1 / 0.4)
    assert coding.places_by is None
    assert not isinstance(session.stop, LearningStop)


@pytest.mark.parametrize(
    "text",
    [
        "osgc / deadline:after_s=1",
        "matched-cyclic:c=2 / fixed:p=0.3 / deadline:after_s=1",
        "frc:c=2,groups=balanced / fraction:r=3",
        "frc:c=2,groups=balanced / first-copy / fraction:r=3 / svrg:every=4",
    ],
)
def test_a_code_that_was_given_no_probabilities_takes_all_slots_for_equal(text: str) -> None:
    coding = Coding.of(parse(text), 6)
    assert coding.places_by is not None
    assert len(set(coding.places_by.tolist())) == 1
    assert coding.code.loads.tolist() == [coding.code.loads[0]] * 6
    session = coding.begin()
    for _ in range(40):
        session.stop.observe([(slot, 0.1) for slot in (0, 1, 3, 4)], 1.0)
    learnt = session.learnt.slots.probabilities
    assert learnt[5] > 0.8
    assert learnt[0] < 0.2, "the stop rule feeds the estimate"
    anew = coding.placed_by(learnt)
    assert anew.places_by is learnt
    assert anew.code.n_tasks == coding.code.n_tasks
    assert not same_tasks(anew.code, coding.code)
    assert same_tasks(coding.placed_by(coding.places_by).code, coding.code)
    assert go_on(session, coding, anew).learnt.slots is session.learnt.slots


def test_what_is_exact_learns_nothing() -> None:
    """Everybody may be waited for, so who is late says nothing."""
    coding = Coding.of(parse("frc:c=2,groups=balanced"), 6)
    assert coding.places_by is None
    assert not isinstance(coding.begin().stop, LearningStop)


def test_a_regrouped_scheme_keeps_what_it_remembers_of_the_same_blocks() -> None:
    def remembers(text: str) -> bool:
        coding = Coding.of(parse(text), 6)
        return remember_alike(coding, coding.placed_by(np.linspace(0.1, 0.9, 6)))

    assert remembers("frc:c=2,groups=balanced / first-copy / fraction:r=3 / sag")
    assert remembers("osgc / fraction:r=3")
    assert not remembers("osgc / fixed / fraction:r=3 / sag")


@pytest.mark.parametrize("c", [3, 4])
def test_exact_is_refused_where_all_arrivals_are_not_enough(c: int) -> None:
    """Windows of c sums tile 10 tasks only if c divides them."""
    scheme = parse(f"cyclic-sums:c={c} / circular / exact")
    with pytest.raises(
        UsageError, match=rf"'circular'.*'cyclic-sums:c={c}'.*all 10 workers.*divides"
    ):
        Coding.of(scheme, 10)
    for fitting in (2, 5):
        Coding.of(parse(f"cyclic-sums:c={fitting} / circular / exact"), 10)
