"""Which results are too large beside those of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead_master.machine.sizes import Size, Sizes

ONE = Size(1.0, 1.0)
LARGE = Size(1e12, 1.0)
HUGE = Size(1e30, 1.0)


def waiting(*results: tuple[int, Size]) -> Sizes[str]:
    sizes = Sizes[str]()
    for slot, size in results:
        assert sizes.judge(slot, size) == "wait"
        sizes.suspect(slot, size, f"of {slot}")
    return sizes


def test_a_first_result_of_any_usual_size_is_taken_at_once() -> None:
    assert Sizes[str]().judge(0, Size(1e9, 1e9)) == "take"


def test_a_large_first_result_waits_for_that_of_another_slot() -> None:
    sizes = waiting((0, LARGE))
    assert sizes.judge(1, LARGE) == "take"
    assert [(s.slot, credible) for s, credible in sizes.compare(1, LARGE)] == [(0, True)]
    assert not sizes.suspects


@pytest.mark.parametrize("small", [ONE, LARGE])
def test_the_larger_of_two_is_refused_whichever_comes_first(small: Size) -> None:
    sizes = waiting((0, HUGE))
    assert sizes.judge(1, small) == ("take" if small is ONE else "wait")
    assert [(s.slot, credible) for s, credible in sizes.compare(1, small)] == [(0, False)]
    assert waiting((0, LARGE)).judge(1, HUGE) == "refuse"


def test_what_all_send_is_credible_however_far_it_has_grown() -> None:
    sizes = Sizes[str]()
    for slot in range(3):
        sizes.admit(slot, ONE)
    sizes.begin()
    assert sizes.judge(0, Size(1e9, 1e9)) == "take"
    assert sizes.judge(0, HUGE) == "wait"
    sizes.suspect(0, HUGE, "first")
    assert sizes.judge(1, HUGE) == "take"
    assert [credible for _, credible in sizes.compare(1, HUGE)] == [True]


@given(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=30))
def test_nobody_talks_the_limit_up_for_himself(growth: list[float]) -> None:
    sizes = Sizes[str]()
    sizes.admit(1, ONE)
    sizes.admit(2, ONE)
    size = 1.0
    for factor in growth:
        size *= factor
        if not sizes.fits(0, Size(size, 1.0)):
            assert size > 1e9
            break
        sizes.admit(0, Size(size, 1.0))
    assert not sizes.fits(0, HUGE)


def test_it_is_refused_once_others_of_the_round_are_in() -> None:
    sizes = Sizes[str]()
    sizes.admit(1, ONE)
    sizes.admit(2, ONE)
    assert sizes.judge(0, HUGE) == "refuse"
    sizes.begin()
    assert sizes.judge(0, HUGE) == "wait", "the model is another one now"


@pytest.mark.parametrize("zero", [Size(0.0, 0.0), Size(0.0, 1.0)])
def test_zeros_condemn_nobody(zero: Size) -> None:
    sizes = Sizes[str]()
    sizes.admit(1, zero)
    assert sizes.judge(0, Size(1e30, 1.0)) == "take"


def test_losses_count_like_norms() -> None:
    sizes = Sizes[str]()
    sizes.admit(1, ONE)
    sizes.begin()
    assert sizes.judge(0, Size(1.0, 1e30)) == "wait"


def test_what_waits_is_taken_when_nobody_is_left() -> None:
    sizes = waiting((0, HUGE))
    assert [s.kept for s in sizes.release()] == ["of 0"]
    assert not sizes.suspects
