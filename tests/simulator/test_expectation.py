"""Theory beside simulation: means over many rounds agree within five standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.schemes import BuiltScheme, Scheme
from erasurehead.straggling import DELAYS
from erasurehead_simulator.expectation import Expectation, expect
from erasurehead_simulator.timeline import timeline

ROUNDS = 1000
DELAY_MODELS = [
    "exponential:mean_s=0.5",
    "shifted-exponential:shift_s=0.4,mean_s=1.5",
    "pareto:shape=2.6,scale_s=0.3",
    "pareto:shape=2.6,scale_s=0.3,by_load=yes",
]


def build(scheme: str, workers: int = 12) -> BuiltScheme:
    return Scheme.parse(scheme).build(workers, None, np.random.default_rng(0))


@pytest.mark.parametrize("delay", DELAY_MODELS)
@pytest.mark.parametrize(
    "scheme",
    [
        "uncoded",
        "egc:c=3",
        "agc:c=3,r=5,scale=none",
        "agc:c=2,r=7,scale=unbiased",
        "uncoded:r=4",
        "cyclic-mds:s=3 / least-squares / exact",
    ],
)
def test_means_agree(scheme: str, delay: str) -> None:
    rounds = 200 if "mds" in scheme else ROUNDS
    model = DELAYS.build(delay, 12, 1)
    expected = expect(build(scheme), model, 0.6)
    played = timeline(build(scheme), model, rounds, 0, 0.6)
    assert not expected.bound
    for simulated, value in [
        (played.duration_s, expected.round_s),
        (played.erased_share, expected.erased_share),
        (played.decode_error, expected.decode_error),
    ]:
        if value is not None:
            error = 5 * float(np.std(simulated)) / np.sqrt(rounds) + 1e-9
            assert float(np.mean(simulated)) == pytest.approx(value, abs=error)
    assert expected.round_s is not None


def test_many_workers_have_an_upper_bound() -> None:
    model = DELAYS.build("exponential:mean_s=0.5", 600, 0)
    expected = expect(build("agc:c=3,r=220", 600), model, 0.0)
    assert expected.bound
    played = timeline(build("agc:c=3,r=220", 600), model, 20, 0)
    assert expected.round_s is not None
    assert float(np.mean(played.duration_s)) == pytest.approx(expected.round_s, rel=0.05)


@pytest.mark.parametrize(
    ("scheme", "delay"),
    [
        ("agc:c=3,deadline_s=1", "exponential:mean_s=0.5"),
        ("regular:c=3 / least-squares / fraction:r=6", "exponential:mean_s=0.5"),
        ("partial:s=1,alpha=2 / least-squares / exact", "exponential:mean_s=0.5"),
    ],
)
def test_nothing_is_expected_where_there_is_no_closed_form(scheme: str, delay: str) -> None:
    assert expect(build(scheme), DELAYS.build(delay, 12, 0), 0.0) == Expectation()


def test_unequal_groups_have_no_closed_form() -> None:
    model = DELAYS.build("exponential:mean_s=0.5", 13, 0)
    assert expect(build("agc:c=4,r=6", 13), model, 0.0) == Expectation()


def test_unknown_delays_leave_the_coverage() -> None:
    model = DELAYS.build("gilbert-elliott:p_gb=0.1,p_bg=0.5,slow_s=1", 12, 0)
    expected = expect(build("agc:c=3,r=5,scale=none"), model, 0.0)
    assert expected.round_s is None
    assert expected.erased_share == expected.decode_error == pytest.approx(126 / 792)
