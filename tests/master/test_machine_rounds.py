"""The master's state machine with real workers' state machines, on virtual time: its rounds."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy.stats import chisquare

from erasurehead.errors import EXIT_OK
from erasurehead.straggling import DELAYS
from erasurehead.wire.messages import Hello, Step, ToMaster, ToWorker
from erasurehead_master.machine.actions import Finish
from erasurehead_master.machine.events import Event, Stepped, Woke
from erasurehead_master.machine.machine import EVENTS, MESSAGES, Master
from erasurehead_simulator.virtual.timing import Timing
from tests.support.grouped import groups_of
from tests.support.master_scene import Virtual, reference_theta, result_of, start_all, theta_of
from tests.support.virtual_run import COLUMNS


@pytest.mark.parametrize("scheme", ["uncoded", "egc:c=3", "egc:c=2", "agc:c=3,r=6"])
def test_exact_schemes_equal_one_process(virtual: Virtual, scheme: str) -> None:
    """With r = k the approximate scheme is exact as well."""
    cluster = virtual(scheme=scheme, workers=6, rounds=20)
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert [r.round for r in cluster.records] == list(range(1, 21))
    np.testing.assert_allclose(theta_of(cluster), reference_theta(20), rtol=1e-10, atol=1e-13)
    assert all(r.decode_error < 1e-20 for r in cluster.records)


def test_a_round_closes_at_the_rth_arrival_and_the_next_opens_at_once(virtual: Virtual) -> None:
    """Delays are known from the seed, so every opening time is."""
    cluster = virtual(
        scheme="uncoded:r=4", workers=6, rounds=30, delay="exponential:mean_s=1", seed=5
    )
    start_all(cluster)
    cluster.run()
    delays = DELAYS.build("exponential:mean_s=1", 6, 5)
    for record in cluster.records:
        drawn = np.sort(delays.delays_s(record.round, 1 / 6))
        assert record.closed_s - record.opened_s == pytest.approx(drawn[3], abs=1e-9)
        assert [a.after_s for a in record.arrivals] == pytest.approx(drawn[:4], abs=1e-9)
        assert len(record.stragglers) == 2
    opened = [r.opened_s for r in cluster.records[1:]]
    assert opened == [r.closed_s for r in cluster.records[:-1]]


def test_delays_are_the_same_for_every_scheme(virtual: Virtual) -> None:
    """A slot's delay in a round does not depend on what the others wait for."""
    seen: dict[str, dict[tuple[int, int], float]] = {}
    for scheme in ("uncoded", "egc:c=3", "agc:c=3,r=4"):
        cluster = virtual(scheme=scheme, workers=6, rounds=10, delay="exponential:mean_s=1")
        start_all(cluster)
        cluster.run()
        seen[scheme] = {(r.round, a.slot): a.delay_s for r in cluster.records for a in r.arrivals}
    for other in ("egc:c=3", "agc:c=3,r=4"):
        common = seen["uncoded"].keys() & seen[other].keys()
        assert common
        assert all(seen["uncoded"][key] == seen[other][key] for key in common)


def test_equal_workers_are_erased_equally_often(virtual: Virtual) -> None:
    """Sends are staggered, so whoever is sent the model last answers last.

    Without a fresh order every round the same groups would always be covered. With it the
    coverage of each of the ten groups is uniform (chi-square, fixed seed).
    """
    cluster = virtual(
        scheme="agc:c=3,r=11",
        workers=30,
        rounds=1500,
        step="0.01",
        timing=Timing(compute_s=lambda slot, part: 0.01, send_s=0.001),
        checked=False,  # others look at the invariants; here are only counts
    )
    start_all(cluster)
    cluster.run()
    code = cluster.machine.plan.code
    covered = np.zeros(10)
    for record in cluster.records:
        groups = {int(groups_of(code).of_symbol[a.slot]) for a in record.arrivals}
        covered[list(groups)] += 1
    expected_share = 1 - 0.23867  # Lemma 2 at (30, 30, 3, 11)
    assert covered.mean() / 1500 == pytest.approx(expected_share, abs=0.01)
    assert chisquare(covered).pvalue > 0.01


def test_theta_travels_on_the_support_only(
    virtual: Virtual, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = virtual(scheme="uncoded", workers=20, tasks=20, rounds=1)
    start_all(cluster)
    sizes: list[int] = []
    send = cluster.send

    def spy(peer: bytes, parcel: ToWorker) -> bool:
        if isinstance(parcel, Step):
            sizes.append(parcel.model.n)
        return send(peer, parcel)

    monkeypatch.setattr(cluster, "send", spy)
    cluster.run()
    assert sizes
    assert min(sizes) < COLUMNS


@pytest.mark.parametrize("beyond", [0, 3])
def test_a_run_that_is_resumed_at_its_end_does_no_more(virtual: Virtual, beyond: int) -> None:
    cluster = virtual(workers=2, scheme="uncoded", rounds=5)
    machine = Master(cluster.machine.plan, 0.0, first_round=6 + beyond)
    actions = machine.handle(Woke(), machine.wake_at)
    assert Finish(EXIT_OK, f"all {5 + beyond} rounds done", 5 + beyond, {}) in actions
    assert machine.rounds_done == 5 + beyond


@pytest.mark.parametrize("step", ["1e3", "1e30", "1e200"])
def test_divergence_ends_the_run_before_the_model_is_spoilt(virtual: Virtual, step: str) -> None:
    """Slowly, fast, and so fast that every worker's result overflows at once."""
    cluster = virtual(scheme="uncoded", workers=3, rounds=2000, step=step)
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == 4
    assert "smaller --step" in cluster.finished.reason
    assert len(cluster.records) == cluster.machine.rounds_done, "only rounds with a step count"
    assert np.isfinite(theta_of(cluster)).all()
    assert not cluster.machine.membership.set_aside, "the workers are not to blame"


def test_the_table_has_a_row_for_every_event_and_every_message_of_a_member() -> None:
    assert set(EVENTS) == set(get_args(Event))
    assert set(MESSAGES) == set(get_args(ToMaster)) - {Hello}


def test_no_step_is_taken_before_a_round_is_open(virtual: Virtual) -> None:
    machine = virtual(workers=2, scheme="uncoded").machine
    with pytest.raises(RuntimeError, match="no round is open"):
        machine.handle(Stepped(), 0.0)


def test_late_results_are_told_with_their_round(virtual: Virtual) -> None:
    cluster = virtual(
        scheme="uncoded:r=2", workers=4, rounds=30, timing=Timing(compute_s=lambda s, _: 1.0 + s)
    )
    start_all(cluster)
    cluster.run(until_s=0.5)
    stale = result_of(cluster, slot=3)
    cluster.run(until_s=2.5)
    assert cluster.machine.round == 2
    cluster.handle(stale)
    cluster.run()
    late = [entry for r in cluster.records for entry in r.late]
    assert [(entry.slot, entry.round) for entry in late] == [(3, 1)]
    assert late[0].after_s == pytest.approx(2.5, abs=0.6)
