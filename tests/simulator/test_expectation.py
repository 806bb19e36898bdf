"""Theory beside simulation: means over many rounds agree within five standard errors, and bounds
hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_master.run.waiting import overdue_units
from erasurehead_simulator.laws.expectation import expect
from erasurehead_simulator.laws.quantities import Claim, Quantity, Relation
from erasurehead_simulator.virtual.timeline import timeline

ROUNDS = 1000
DELAY_MODELS = [
    "exponential:mean_s=0.5",
    "shifted-exponential:shift_s=0.4,mean_s=1.5",
    "pareto:shape=2.6,scale_s=0.3",
    "pareto:shape=2.6,scale_s=0.3,by_load=yes",
]
UNEQUAL = "/".join(f"{0.1 + 0.05 * slot:.2f}" for slot in range(12))

LEARNING = 0.1
"""Relative room for what is nearly so: learnt probabilities scatter."""


def build(scheme: str, workers: int = 12) -> Coding:
    return Coding.of(parse(scheme), workers)


def check(
    scheme: str, delay: str, rounds: int = ROUNDS, pass_s: float = 0.0, workers: int = 12
) -> dict[Quantity, list[Claim]]:
    """Compare every claim with a simulation; return them by quantity."""
    model = DELAYS.build(delay, workers, 1)
    coding = build(scheme, workers)
    expected = expect(coding, model, pass_s)
    played = timeline(coding, model, rounds, 0, pass_s)
    measured = {
        Quantity.ROUND_S: played.duration_s,
        Quantity.ERASED_SHARE: played.erased_share,
        Quantity.DECODE_ERROR: played.decode_error,
    }
    for claim in expected.claims:
        values = measured[claim.quantity]
        mean, error = float(values.mean()), 5 * float(np.std(values)) / np.sqrt(rounds) + 1e-9
        match claim.relation:
            case Relation.EQUAL:
                assert mean == pytest.approx(claim.value, abs=error), claim
            case Relation.ABOUT:
                assert mean == pytest.approx(claim.value, abs=error, rel=LEARNING), claim
            case Relation.AT_MOST:
                assert mean <= claim.value + error, claim
            case Relation.AT_LEAST:
                assert mean >= claim.value - error, claim
            case Relation.MISPRINT:
                assert abs(mean - claim.value) > error, claim
    return {quantity: list(expected.of(quantity)) for quantity in Quantity}


def relations(claims: Sequence[Claim]) -> list[str]:
    return [claim.relation.value for claim in claims]


@pytest.mark.parametrize("delay", DELAY_MODELS)
@pytest.mark.parametrize(
    "scheme",
    [
        "uncoded",
        "egc:c=3",
        "agc:c=3,r=5,scale=none",
        "agc:c=2,r=7,scale=unbiased",
        "agc:c=3,r=5,scale=coverage",
        "uncoded:r=4",
        "cyclic-repetition:s=3 / least-squares / exact",
    ],
)
def test_times_and_errors_of_independent_delays(scheme: str, delay: str) -> None:
    claims = check(scheme, delay, 200 if "cyclic" in scheme else ROUNDS, 0.6)
    assert {claims[quantity][0].relation for quantity in Quantity} == {Relation.EQUAL}


@pytest.mark.parametrize(
    ("scheme", "error"),
    [
        ("frc:c=3 / first-copy:scale=group / fraction:r=5", "≈"),
        ("frc:c=3 / one-step / fraction:r=4", "="),
        ("frc:c=3 / least-squares / fraction:r=5", "="),
        ("frc:c=5 / first-copy:scale=unbiased / fraction:r=4", "="),
        ("coupon:c=3 / first-copy:scale=none / fraction:r=5", "="),
        ("bernoulli:c=3 / one-step / fraction:r=2", "="),
        ("regular:c=3 / least-squares / fraction:r=6", "≤"),
        ("expander:d=4 / least-squares / fraction:r=10", "≤"),
        ("expander:d=4 / one-step / fraction:r=10", "≤"),
        ("expander:d=4 / one-step / fraction:r=3", "="),
        ("pairwise-balanced:d=3 / fixed / fraction:r=6", "≈"),
        ("pairwise-balanced:d=3 / fixed:p=0.5 / fraction:r=6", "="),
        ("pairwise-balanced:d=3 / fixed:p=0.4,shrink=mse / fraction:r=6", "="),
        ("graph:d=3 / component / fraction:r=6", "≥"),
        ("cyclic-sums:c=3 / circular / fraction:r=6", "≥"),
        # With a deadline, survivors are independent.
        ("frc:c=3 / first-copy:scale=none / deadline:after_s=0.4", "="),
        ("frc:c=3 / first-copy:scale=coverage / deadline:after_s=0.4", "="),
        ("frc:c=3 / first-copy:scale=group / deadline:after_s=0.4", "≈"),
        ("pairwise-balanced:d=3 / fixed:p=0.2 / deadline:after_s=0.8", "="),
        ("pairwise-balanced:d=3 / fixed / deadline:after_s=0.8", "≈"),
        ("osgc:p=0.3 / fixed:p=0.25 / deadline:after_s=0.6", "="),
        ("expander:d=4 / least-squares / deadline:after_s=0.8", "≥"),
    ],
)
def test_decode_errors(scheme: str, error: str) -> None:
    claims = check(scheme, "exponential:mean_s=0.5")
    assert claims[Quantity.DECODE_ERROR][0].relation.value == error
    assert "≥" in relations(claims[Quantity.DECODE_ERROR])
    assert claims[Quantity.ERASED_SHARE]
    assert claims[Quantity.ROUND_S]


@pytest.mark.parametrize(
    "scheme", ["cyclic-mds:s=2,field=complex", "reed-solomon:s=3", "heterogeneous:s=2"]
)
def test_codes_that_now_and_then_need_fewer_have_a_bound(scheme: str) -> None:
    claims = check(f"{scheme} / least-squares / exact", "exponential:mean_s=0.5", 300)
    assert relations(claims[Quantity.ROUND_S]) == ["≤"]
    assert relations(claims[Quantity.DECODE_ERROR]) == ["="]


@pytest.mark.parametrize("p", ["0.9", "0.3", "0.5", "0.99"])
@pytest.mark.parametrize("tasks", [12, 24])
def test_given_probabilities_may_be_wrong(p: str, tasks: int) -> None:
    """Weights are what they are told to be; so are their errors, and no bound of others holds."""
    text = f"frc:c=3 / first-copy:scale=group,p={p} / fraction:r=6"
    model = DELAYS.build("exponential:mean_s=0.5", 12, 1)
    coding = Coding.of(parse(text), 12, tasks)
    claims = expect(coding, model, 0.0).of(Quantity.DECODE_ERROR)
    played = timeline(coding, model, ROUNDS, 0)
    error = 5 * float(np.std(played.decode_error)) / np.sqrt(ROUNDS)
    assert claims[0].relation is Relation.EQUAL
    assert float(played.decode_error.mean()) == pytest.approx(claims[0].value, abs=error)
    assert all(claim.value <= claims[0].value for claim in claims[1:])


@pytest.mark.parametrize(
    "scheme",
    [
        # Early rounds, whose few arrivals decode exactly by chance, have another weight.
        "frc:c=3 / one-step / fraction:r=7",
        "frc:c=4 / one-step / fraction:r=7",
        "frc:c=3 / one-step:scale=optimal / fraction:r=12",
        "frc:c=3 / algorithmic / fraction:r=7",
        "frc:c=3 / disjoint / fraction:r=7",
        "frc:c=3 / fixed / fraction:r=7",
        "frc:c=3 / fixed:p=0.4 / fraction:r=12",
    ],
)
def test_what_repetition_has_only_with_first_copies_is_not_claimed_of_others(scheme: str) -> None:
    claims = check(scheme, "exponential:mean_s=0.5", pass_s=0.6)
    assert relations(claims[Quantity.ROUND_S]) == (["=" if "fixed" in scheme else "≤"])
    assert all("first" not in claim.source for claim in claims[Quantity.DECODE_ERROR])


@pytest.mark.parametrize(
    "scheme",
    [
        "frc:c=3 / one-step / exact",
        "frc:c=3 / algorithmic / exact",
        "cyclic-mds:s=3 / one-step / exact",
    ],
)
def test_exact_rounds_of_decoders_that_wait_longer_have_no_time(scheme: str) -> None:
    claims = check(scheme, "exponential:mean_s=0.5", 50)
    assert not claims[Quantity.ROUND_S]


def test_exact_rounds_are_exact_with_snapshots_as_well() -> None:
    """A round of a snapshot waits for everybody or the exact gradient, as every other does."""
    model = DELAYS.build("exponential:mean_s=0.5", 12, 1)
    snapshots = expect(build("egc:c=3,cache=svrg:every=4"), model, 0.6)
    assert snapshots.claims == expect(build("egc:c=3"), model, 0.6).claims
    check("egc:c=3,cache=svrg:every=4", "exponential:mean_s=0.5", 300, pass_s=0.6)


def test_tasks_that_are_placed_anew_leave_nothing_to_claim() -> None:
    """Where slots differ, and the run moves them; alike ones stay where they are."""
    uneven = DELAYS.build("unequal-exponential:low=0.3,high=2", 12, 0)
    alike = DELAYS.build("exponential:mean_s=0.5", 12, 0)
    text = "frc:c=3,groups=balanced / first-copy / deadline:after_s=3"
    assert expect(build(text), uneven, 0.0, 50).claims == ()
    assert expect(build(text), uneven, 0.0, 0).claims
    assert expect(build(text), alike, 0.0, 50).claims == expect(build(text), alike, 0.0).claims


def test_a_deadline_that_nobody_may_meet_bounds_nothing() -> None:
    for scheme, pass_s in (("agc:c=3,deadline_s=0.1", 100.0), ("agc:c=3,deadline_s=0.01", 0.0)):
        model = DELAYS.build("exponential:mean_s=0.5", 12, 0)
        assert expect(build(scheme), model, pass_s).claims == ()


def test_slots_with_probabilities_of_their_own() -> None:
    """Uneven loads, rates and weights: independent, and nothing else is needed."""
    for scheme in (
        f"osgc:p={UNEQUAL} / fixed:p={UNEQUAL} / deadline:after_s=3",
        "pairwise-balanced:d=3 / fixed / deadline:after_s=3",
        "agc:c=3,deadline_s=3,scale=coverage",
    ):
        claims = check(scheme, "unequal-exponential:low=0.3,high=2", pass_s=1.2)
        assert claims[Quantity.DECODE_ERROR][0].relation in (Relation.EQUAL, Relation.ABOUT)
        assert relations(claims[Quantity.ROUND_S]) == ["≤"]


def test_any_arrivals_are_worth_the_same_to_a_design() -> None:
    for decoder in ("one-step:scale=optimal", "least-squares"):
        scheme = f"design / {decoder} / fraction:r=6"
        claims = check(scheme, "persistent:count=3,slow_s=1,jitter_s=0.1", 50, workers=13)
        assert relations(claims[Quantity.DECODE_ERROR]) == ["="]


def test_the_misprint_of_lemma_8_is_shown_where_its_model_holds() -> None:
    claims = check("egc:c=3", "shifted-exponential:shift_s=1,mean_s=2", workers=30)
    assert relations(claims[Quantity.ROUND_S]) == ["=", "≤", "≠"]
    _, _, misprint = claims[Quantity.ROUND_S]
    assert misprint.value == pytest.approx(0.2441, abs=5e-5)


def test_many_workers_have_an_upper_bound() -> None:
    claims = check("agc:c=3,r=220", "exponential:mean_s=0.5", 20, workers=600)
    assert relations(claims[Quantity.ROUND_S]) == ["≤"]
    assert "=" not in relations(claims[Quantity.DECODE_ERROR])


@pytest.mark.parametrize(
    ("scheme", "delay"),
    [
        ("frc:c=3 / first-copy / residual:epsilon=0.3", "exponential:mean_s=0.5"),
        ("partial:s=1,alpha=2 / least-squares / exact", "exponential:mean_s=0.5"),
        ("agc:c=3,r=5", "persistent:count=3,slow_s=1"),
        ("agc:c=3,r=5", "bimodal:base_s=1"),
        ("agc:c=4,r=6", "unequal-exponential"),
        ("frc:c=3,parts=tasks / first-copy / fraction:r=5", "exponential:mean_s=0.5"),
        (
            "frc:c=3,parts=tasks / first-copy / deadline:after_s=1",
            "shifted-exponential:shift_s=1,mean_s=1",
        ),
    ],
)
def test_nothing_is_claimed_where_no_formula_holds(scheme: str, delay: str) -> None:
    assert expect(build(scheme), DELAYS.build(delay, 12, 0), 0.0).claims == ()


def test_loads_that_differ_leave_no_uniform_subset_once_they_cost_time() -> None:
    model = DELAYS.build("exponential:mean_s=0.5", 13, 0)
    free = expect(build("agc:c=4,r=6,scale=none", 13), model, 0.0)
    assert free.mean(Quantity.ERASED_SHARE) is not None
    assert expect(build("agc:c=4,r=6,scale=none", 13), model, 1.0).claims == ()


def test_unknown_delays_leave_the_coverage() -> None:
    model = DELAYS.build("gilbert-elliott:p_gb=0.1,p_bg=0.5,slow_s=1", 12, 0)
    expected = expect(build("agc:c=3,r=5,scale=none"), model, 0.0)
    assert expected.of(Quantity.ROUND_S) == ()
    for quantity in (Quantity.ERASED_SHARE, Quantity.DECODE_ERROR):
        assert expected.mean(quantity) == pytest.approx(126 / 792)


def test_waits_for_units_leave_bounds() -> None:
    """The mean without them was claimed of rounds that also wait for what is overdue."""
    written = {"store": "s", "workers": 12, "scheme": "uncoded:r=2,cache=sag"}
    settings = load(RunSettings, {**written, "delay": "exponential:mean_s=0.5"}, environment={})
    coding, model = settings.fitted(), settings.delays()
    played = timeline(coding, model, ROUNDS, 0, waits=partial(overdue_units, settings))
    plain, left = (expect(coding, model, 0.0, waits=waits) for waits in (False, True))
    spread_s = float(np.std(played.duration_s)) / np.sqrt(ROUNDS)
    mean_s = plain.mean(Quantity.ROUND_S)
    assert mean_s is not None
    assert mean_s < float(played.duration_s.mean()) - 5 * spread_s
    assert relations(left.of(Quantity.ROUND_S)) == ["≥"]
    assert left.of(Quantity.ROUND_S)[0].source.endswith("; overdue units not counted")
    assert left.of(Quantity.ERASED_SHARE)
    assert all(
        claim.relation is Relation.AT_MOST and claim.value >= played.erased_share.mean()
        for claim in left.of(Quantity.ERASED_SHARE)
    )
    assert not left.of(Quantity.DECODE_ERROR)
    exact = build("egc:c=3,cache=sag")
    assert expect(exact, model, 0.0, waits=True) == expect(exact, model, 0.0)
