"""Exact, fraction and deadline rules on a round made by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import Decoder, DecoderContext
from erasurehead.errors import UsageError
from erasurehead.stopping import STOPS
from erasurehead.stopping.fraction import FractionStop
from erasurehead.stopping.snapshot import SnapshotStop
from tests.support.grouped import groups_of


@dataclass
class Round:
    """A round seen by a stop rule."""

    decoder: Decoder
    n_arrived: int = 0
    elapsed_s: float = 0.0

    @property
    def n_arrivals(self) -> int:
        return self.decoder.code.n_arrivals

    def arrive(self, *slots: int) -> None:
        for slot in slots:
            self.decoder.arrive(slot)
            self.n_arrived += 1


@pytest.fixture
def round_() -> Round:
    code = CODES.build("frc:c=2,groups=consecutive", 6, None, np.random.default_rng(0))
    return Round(DECODERS.build("first-copy", code, DecoderContext()))


def test_exact_waits_for_every_group(round_: Round) -> None:
    rule = STOPS.build("exact", round_.decoder.code)
    round_.arrive(0, 1, 2, 3)
    assert rule.judge(round_) is None
    round_.arrive(5)
    assert rule.judge(round_) == "all 3 groups covered"


def test_groups_that_nobody_holds_are_not_said_to_be_covered() -> None:
    code = CODES.build("coupon:c=3", 12, None, np.random.default_rng(13))
    empty = int((groups_of(code).sizes == 0).sum())
    assert empty == 1
    round_ = Round(DECODERS.build("first-copy", code, DecoderContext()))
    rule = STOPS.build("fraction:r=12", code)
    reasons = []
    for slot in range(12):
        round_.arrive(slot)
        reasons.append(rule.judge(round_))
    assert next(filter(None, reasons)) == "all 3 groups covered, 1 held by no slot"


def test_fraction_closes_at_the_rth_arrival_or_when_exact(round_: Round) -> None:
    rule = STOPS.build("fraction:r=4", round_.decoder.code)
    round_.arrive(0, 1, 2)
    assert rule.judge(round_) is None
    round_.arrive(3)
    assert rule.judge(round_) == "4 of 6 arrived"
    round_.decoder.begin()
    round_.n_arrived = 0
    round_.arrive(0, 2, 4)
    assert rule.judge(round_) == "all 3 groups covered"


@pytest.mark.parametrize(("delta", "r"), [(0.37, 12), (0.1, 3), (1.0, 30), (0.001, 1)])
def test_delta_is_a_share_of_the_workers(delta: float, r: int) -> None:
    code = CODES.build("uncoded", 30, None, np.random.default_rng(0))
    rule = STOPS.build(f"fraction:delta={delta}", code)
    assert isinstance(rule, FractionStop)
    assert rule.arrivals == r


@pytest.mark.parametrize(("k", "r"), [(1, 1), (2, 2), (12, 2), (20, 2), (21, 3), (30, 3)])
def test_a_share_has_a_least_number(k: int, r: int) -> None:
    code = CODES.build("uncoded", k, None, np.random.default_rng(0))
    assert STOPS.build("fraction:delta=0.1,least=2", code).arrivals == r


@pytest.mark.parametrize("spec", ["exact", "fraction:r=6", "deadline:after_s=1"])
def test_exact_alone_waits_for_all_whom_it_needs(round_: Round, spec: str) -> None:
    rule = STOPS.build(spec, round_.decoder.code)
    assert rule.waits_for_all == SnapshotStop(rule, 3).waits_for_all == (spec == "exact")


def test_a_snapshot_has_the_sum_of_all_from_one_of_each_group_and_else_from_all(
    round_: Round,
) -> None:
    """What decodes without groups gives the sum as well, but not each block of it."""
    code = CODES.build("cyclic-repetition:s=2", 6, None, np.random.default_rng(0))
    ungrouped = Round(DECODERS.build("least-squares", code, DecoderContext()))
    for one, enough, rest in ((round_, (0, 2, 4), ()), (ungrouped, (0, 1, 2, 3), (4, 5))):
        rule = SnapshotStop(STOPS.build("fraction:r=2", one.decoder.code), 2)
        one.arrive(*enough[:-1])
        assert not rule.sums_all(one)
        one.arrive(enough[-1])
        assert one.decoder.exact
        assert rule.sums_all(one) == (not rest)
        one.arrive(*rest)
        assert rule.sums_all(one)
        rule.observe([], 1.0)
        assert not rule.sums_all(one), "the next round is none of a snapshot"


def test_deadline_closes_with_a_minimum_of_arrivals(round_: Round) -> None:
    rule = STOPS.build("deadline:after_s=0.3,minimum=2", round_.decoder.code)
    assert rule.deadline_s() == 0.3
    round_.arrive(0)
    round_.elapsed_s = 0.3
    assert rule.judge(round_) is None
    round_.arrive(1)
    assert rule.judge(round_) == "deadline of 0.3 s"
    round_.elapsed_s = 0.1
    assert rule.judge(round_) is None
    round_.arrive(2, 4)
    assert rule.judge(round_) == "all 3 groups covered"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fraction", "either r"),
        ("fraction:r=2,delta=0.5", "either r"),
        ("fraction:r=0", "r=0 arrivals cannot close a round of 6 workers"),
        ("fraction:r=7", "r=7 arrivals cannot close a round of 6 workers"),
        ("fraction:r=2,least=2", "leave it out"),
        ("fraction:delta=0.5,least=0", "least=0 arrivals are too few"),
        ("fraction:delta=0", "delta=0 is not a share"),
        ("fraction:delta=1.5", "delta=1.5 is not a share"),
        ("deadline:after_s=0", "after_s must be positive"),
        ("deadline:after_s=nan", "after_s must be positive"),
        ("deadline:after_s=1,minimum=7", "minimum=7 arrivals do not fit 6 workers"),
        ("deadline", "needs after_s"),
        ("franction:r=2", "did you mean 'fraction'"),
    ],
)
def test_bad_rules_are_one_sentence(round_: Round, spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        STOPS.build(spec, round_.decoder.code)
