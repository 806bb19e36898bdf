"""Scheme texts: shorthands, the long form, round trips and their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.schemes.regrouping import regrouped, remember_alike, same_tasks
from erasurehead.schemes.scheme import Scheme
from erasurehead.stopping.fraction import FractionStop
from erasurehead.stopping.observing import LearningStop


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("uncoded", "uncoded / first-copy:scale=coverage / exact"),
        ("uncoded:r=20", "uncoded / first-copy:scale=coverage / fraction:r=20"),
        ("egc:c=3", "frc:c=3 / first-copy:scale=coverage / exact"),
        ("agc:c=3,r=11", "frc:c=3 / first-copy:scale=coverage / fraction:r=11"),
        (
            "agc:c=3,delta=0.37,scale=unbiased",
            "frc:c=3 / first-copy:scale=unbiased / fraction:delta=0.37",
        ),
        ("agc:c=3,deadline_s=0.2", "frc:c=3 / first-copy:scale=coverage / deadline:after_s=0.2"),
        (
            "agc:c=3,r=11,cache=svrg:every=9",
            "frc:c=3 / first-copy:scale=coverage / fraction:r=11 / svrg:every=9",
        ),
        ("uncoded:cache=sag", "uncoded / first-copy:scale=coverage / exact / sag"),
        ("cyclic-mds:s=3", "cyclic-mds:s=3 / least-squares / exact"),
        ("graph:d=3 / residual:epsilon=0.1", "graph:d=3 / component / residual:epsilon=0.1"),
        ("osgc:p=0.1/0.2 / fraction:r=1", "osgc:p=0.1/0.2 / fixed / fraction:r=1"),
    ],
)
def test_shorthands_and_round_trips(short: str, long: str) -> None:
    scheme = Scheme.parse(short)
    assert str(scheme) == short
    assert scheme.long_form == long
    assert Scheme.parse(long) == scheme
    assert Scheme.parse(str(Scheme.parse(long))) == scheme
    assert scheme.exact == ("/ exact" in long)


def test_building_gives_parts_that_fit() -> None:
    built = Scheme.parse("agc:c=3,r=11").build(30, None, np.random.default_rng(0))
    assert built.code.n_tasks == 30
    assert built.decoder.code is built.code
    assert isinstance(built.stop, FractionStop)
    assert built.stop.arrivals == 11
    assert built.estimate == "sum"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agd:c=3", "did you mean 'agc'"),
        ("cyclc-mds:s=2", "did you mean 'cyclic-mds'"),
        ("frc:c=2/exact", "spaces around the slash before 'exact'"),
        ("graph:d=3 /component / exact", "spaces around the slash before 'component'"),
        ("agc:c=3", "needs r, delta or deadline_s"),
        ("agc:c=3,r=3,delta=0.5", "one rule"),
        ("egc", "needs c"),
        ("frc:c=3 / first-copy", "is a decoder"),
        ("frc:c=3 / first-copi / exact", "did you mean 'first-copy'"),
        ("osgc:p=0.3", "say when to stop"),
        ("frc:c=3 / first-copy / exact / sagga", "did you mean 'saga'"),
        ("agc:c=3,r=11,cache=sagga", "did you mean 'saga'"),
        ("frc:c=3 / first-copy / exact / sum / sum", "5 parts"),
        ("", "names nothing"),
        ("egc:c=2 / fraction:r=5", "'egc:c=2' is short .* 'frc:c=2 / first-copy / fr"),
        ("agc:c=3,r=5 / sag", "'agc:c=3,r=5' is short for a whole scheme"),
        (
            "frc:c=2 / fraction:r=2 / saga",
            "'fraction:r=2' is a stop rule and stands where a decoder belongs; .*"
            "'frc:c=2 / first-copy:scale=coverage / fraction:r=2 / saga'",
        ),
        ("frc:c=2 / exact / first-copy", "'exact' is a stop rule .*'frc:c=2 / first-copy / exact'"),
        (
            "frc:c=2 / first-copy / saga",
            "where a stop rule belongs; .* / fraction:delta=0.5 / saga'",
        ),
        ("uncoded:r=2 / saga", "'saga' is a gradient estimate .*'uncoded:r=2,cache=saga'"),
        ("frc:c=3 /", "nothing before its first slash or after its last one"),
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
        Scheme.parse(text).build(k, n, np.random.default_rng(0))


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
    built = Scheme.parse(text).build(12, None, np.random.default_rng(0))
    assert built.loses == pytest.approx(loses)


def test_decoders_that_need_probabilities_learn_them() -> None:
    """scale=group without given probabilities: the stop rule wraps an estimate, and dead slots
    become heavy stragglers of their groups."""
    built = Scheme.parse("agc:c=1,deadline_s=1,scale=group").build(
        2, None, np.random.default_rng(0)
    )
    for _ in range(300):
        built.stop.observe([(0, 0.1)], 1.0)
    built.decoder.begin()
    assert built.decoder.arrive(0) == pytest.approx(1.0, abs=0.05)
    assert built.decoder.arrive(1) == pytest.approx(20.0, rel=0.01)


def test_given_probabilities_are_used_for_code_and_decoder() -> None:
    text = "osgc:p=0.05/0.1/0.2/0.4/0.6 / fixed:p=0.05/0.1/0.2/0.4/0.6 / deadline:after_s=1"
    built = Scheme.parse(text).build(5, None, np.random.default_rng(0))
    assert built.code.matrix.toarray()[0].tolist()[:2] == [1.0, 1.0]
    assert built.decoder.arrive(4) == pytest.approx(1 / 0.4)
    assert built.placement is None
    assert not isinstance(built.stop, LearningStop)


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
    scheme = Scheme.parse(text)
    built = scheme.build(6, None, np.random.default_rng(0))
    assert built.placement is not None
    assert len(set(built.placement.probabilities.tolist())) == 1
    assert built.code.loads.tolist() == [built.code.loads[0]] * 6
    for _ in range(40):
        built.stop.observe([(slot, 0.1) for slot in (0, 1, 3, 4)], 1.0)
    learnt = built.placement.learnt.probabilities
    assert learnt[5] > 0.8
    assert learnt[0] < 0.2, "the stop rule feeds the estimate"
    anew = regrouped(built, learnt)
    assert anew.placement is not None
    assert anew.placement.learnt is built.placement.learnt
    assert anew.placement.probabilities is learnt
    assert anew.code.n_tasks == built.code.n_tasks
    assert not same_tasks(anew.code, built.code)
    assert same_tasks(regrouped(built, built.placement.probabilities).code, built.code)


def test_what_is_exact_learns_nothing() -> None:
    """Everybody may be waited for, so who is late says nothing."""
    built = Scheme.parse("frc:c=2,groups=balanced").build(6, None, np.random.default_rng(0))
    assert built.placement is None
    assert not isinstance(built.stop, LearningStop)


def test_a_regrouped_scheme_keeps_what_it_remembers_of_the_same_blocks() -> None:
    def remembers(text: str) -> bool:
        built = Scheme.parse(text).build(6, None, np.random.default_rng(0))
        return remember_alike(built, regrouped(built, np.linspace(0.1, 0.9, 6)))

    assert remembers("frc:c=2,groups=balanced / first-copy / fraction:r=3 / sag")
    assert remembers("osgc / fraction:r=3")
    assert not remembers("osgc / fixed / fraction:r=3 / sag")


@pytest.mark.parametrize("c", [3, 4])
def test_exact_is_refused_where_all_arrivals_are_not_enough(c: int) -> None:
    """Windows of c sums tile 10 tasks only if c divides them."""
    scheme = Scheme.parse(f"cyclic-sums:c={c} / circular / exact")
    with pytest.raises(
        UsageError, match=rf"'circular'.*'cyclic-sums:c={c}'.*all 10 workers.*divides"
    ):
        scheme.build(10, None, np.random.default_rng(0))
    for fitting in (2, 5):
        Scheme.parse(f"cyclic-sums:c={fitting} / circular / exact").build(
            10, None, np.random.default_rng(0)
        )
