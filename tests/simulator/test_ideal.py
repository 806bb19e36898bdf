"""The ideal time of a round, against brute force on the code's matrix."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead.straggling.base import DelayModel
from erasurehead_master.run.waiting import overdue_units
from erasurehead_simulator.virtual.ideal import ideal_round_s
from erasurehead_simulator.virtual.timeline import timeline


class GivenDelays(DelayModel):
    """Delays written down: row t - 1 is round t."""

    def __init__(self, table: FloatArray) -> None:
        super().__init__(table.shape[1], 0)
        self.table = table
        self.shares: list[FloatArray | float] = []

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        self.shares.append(load_share)
        return np.array(self.table[round_ - 1])


def build(scheme: str, n_workers: int) -> Coding:
    return Coding.of(parse(scheme), n_workers)


def coverage_time(matrix: FloatArray, delays_s: FloatArray) -> float:
    """The first moment at which the all-ones row lies in the span of the arrived rows."""
    ones = np.ones(matrix.shape[1])
    for now in np.sort(delays_s):
        arrived = matrix[delays_s <= now]
        weights = np.linalg.lstsq(arrived.T, ones, rcond=None)[0]
        if np.allclose(weights @ arrived, ones):
            return float(now)
    raise AssertionError("everybody together is not exact")


@given(seed=st.integers(0, 10_000), r=st.integers(1, 12))
def test_fraction_is_the_rth_arrival_or_coverage(seed: int, r: int) -> None:
    coding = build(f"agc:c=3,r={r}", 12)
    table = np.random.default_rng(seed).exponential(0.5, (4, 12))
    matrix = coding.code.matrix.toarray()
    expected = [min(np.sort(row)[r - 1], coverage_time(matrix, row)) for row in table]
    assert ideal_round_s(coding, GivenDelays(table), range(1, 5)) == pytest.approx(expected)


def test_slots_without_a_worker_are_not_waited_for() -> None:
    """Slot 2 of 3 is gone in the second round, everybody in the third."""
    table = np.array([[1.0, 2.0, 9.0], [1.0, 2.0, 9.0], [1.0, 2.0, 9.0]])
    took_part = np.array([[True, True, True], [True, True, False], [False, False, False]])
    found = ideal_round_s(build("uncoded", 3), GivenDelays(table), [1, 2, 3], took_part)
    assert found.tolist() == [9.0, 2.0, 0.0]


def test_exact_schemes_wait_for_coverage() -> None:
    table = np.random.default_rng(3).exponential(0.5, (20, 6))
    assert ideal_round_s(build("uncoded", 6), GivenDelays(table), range(1, 21)) == pytest.approx(
        table.max(axis=1)
    )
    egc = build("egc:c=2", 6)
    matrix = egc.code.matrix.toarray()
    assert ideal_round_s(egc, GivenDelays(table), range(1, 21)) == pytest.approx(
        [coverage_time(matrix, row) for row in table]
    )


def test_a_deadline_closes_between_arrivals() -> None:
    """Deadline 1 s: closes at 1 s, later if nobody is there yet, earlier if everybody is."""
    coding = build("uncoded:deadline_s=1", 3)
    table = np.array([[0.2, 0.5, 4.0], [1.5, 2.0, 3.0], [0.1, 0.2, 0.3]])
    assert ideal_round_s(coding, GivenDelays(table), [1, 2, 3]).tolist() == [1.0, 1.5, 0.3]


@given(seed=st.integers(0, 10_000), r=st.integers(1, 36))
def test_tasks_that_are_sent_one_by_one_come_at_thirds_of_a_delay(seed: int, r: int) -> None:
    """Closed at the r-th of them all, or when each task is there."""
    coding = build(f"frc:c=3,parts=tasks / first-copy / fraction:r={r}", 12)
    table = np.random.default_rng(seed).exponential(0.5, (4, 12))
    matrix = coding.code.matrix.toarray()
    thirds = [np.outer(row, coding.code.delay_shares.cumsum()).ravel() for row in table]
    expected = [min(np.sort(row)[r - 1], coverage_time(matrix, row)) for row in thirds]
    assert ideal_round_s(coding, GivenDelays(table), range(1, 5)) == pytest.approx(expected)


def test_delays_are_drawn_for_each_slots_own_load() -> None:
    delays = GivenDelays(np.ones((1, 6)))
    ideal_round_s(build("egc:c=2", 6), delays, [1])
    assert np.asarray(delays.shares[0]) == pytest.approx(np.full(6, 2 / 6))


def test_only_the_rounds_asked_for() -> None:
    model = DELAYS.build("exponential:mean_s=0.5", 6, 1)
    every = ideal_round_s(build("uncoded", 6), model, range(1, 11))
    some = ideal_round_s(build("uncoded", 6), model, [3, 7])
    assert some.tolist() == every[[2, 6]].tolist()
    assert ideal_round_s(build("uncoded", 6), model, []).shape == (0,)


def test_without_delays_the_ideal_is_zero() -> None:
    none = DELAYS.build("none", 6, 1)
    assert ideal_round_s(build("agc:c=2,r=3", 6), none, [1, 2]).tolist() == [0.0, 0.0]


def test_units_that_the_method_waits_for_are_waited_for() -> None:
    """The ideal of methods that wait for overdue units once knew nothing of that."""
    written = {"store": "s", "workers": 12, "scheme": "uncoded:r=2,cache=sag"}
    settings = load(RunSettings, {**written, "delay": "exponential:mean_s=1"}, environment={})
    coding, delays = settings.fitted(), settings.delays()
    found = ideal_round_s(coding, delays, range(1, 101), overdue=overdue_units(settings, coding))
    played = timeline(coding, delays, 100, 0, waits=partial(overdue_units, settings))
    assert found == pytest.approx(played.duration_s)
    assert found.mean() > 1.1 * ideal_round_s(coding, delays, range(1, 101)).mean()
    # Nobody can be waited for who takes no part.
    took_part = np.ones((100, 12), dtype=np.bool_)
    took_part[:, list(range(0, 12, 4))] = False
    fewer = ideal_round_s(coding, delays, range(1, 101), took_part, overdue_units(settings, coding))
    assert np.all(np.isfinite(fewer))
