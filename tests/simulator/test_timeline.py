"""Rounds without gradients against the same rounds played by whole virtual masters and workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_master.machine.rounds import WAITED
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.waiting import overdue_units
from erasurehead_simulator.virtual.compute_times import compute_times_s
from erasurehead_simulator.virtual.timeline import play_rounds, timeline
from erasurehead_simulator.virtual.virtual_run import run_virtually


class Records(Observer):
    def __init__(self) -> None:
        self.all: list[RoundRecord] = []

    def round_over(self, record: RoundRecord) -> None:
        self.all.append(record)


def chosen(store: Path, **changes: object) -> RunSettings:
    given = {"store": str(store), "workers": 6, "rounds": 12, "step": "0.5", **changes}
    return load(RunSettings, given, environment={})


SCHEMES = [
    "uncoded",
    "uncoded:r=4",
    "egc:c=2",
    "agc:c=2,r=3",
    "agc:c=3,deadline_s=0.2",
    "frc:c=2 / first-copy:scale=none / deadline:after_s=0.05,minimum=2",
    "partial:s=1,alpha=2 / least-squares / exact",
    "cyclic-mds:s=1 / least-squares / exact",
    "cyclic-mds:s=2,field=complex / least-squares / fraction:r=4",
    "cyclic-sums:c=2 / circular / fraction:r=3",
    "frc:c=2 / first-copy:scale=coverage / adaptive",
    "frc:c=3,parts=tasks",
    "frc:c=3,parts=tasks / first-copy:scale=group / fraction:r=5",
    "frc:c=2,parts=tasks / first-copy / deadline:after_s=0.05,minimum=3",
    "frc:c=3,parts=tasks / first-copy:scale=coverage / adaptive",
    "frc:c=2,parts=tasks / first-copy:scale=coverage / residual:epsilon=0.3",
]


@pytest.mark.parametrize(
    "scheme",
    [
        "frc:c=2,groups=balanced / fraction:r=4",
        "frc:c=2,groups=balanced / first-copy / adaptive",
        "osgc / fixed / fraction:r=4",
        "osgc / fixed / fraction:r=4 / sag",
        "frc:c=2,groups=balanced,parts=tasks / fraction:r=7",
    ],
)
def test_tasks_are_placed_anew_in_the_same_rounds(scheme: str, small_store: Path) -> None:
    """Loads and groups change on the way, and with them how long slots compute."""
    settings = chosen(
        small_store,
        scheme=scheme,
        delay="persistent:count=2,slow_s=5,jitter_s=0.2",
        rounds=40,
        seed=9,  # of six slots the slow ones, 0 and 3, share a group at first
        refit={"regroup_after_rounds": 8},
    )
    store = Store.open(small_store)
    records = Records()
    run_virtually(make_plan(settings, store, None), store, [records], 0.3)
    delays = settings.delays()
    played = list(play_rounds(settings.fitted(), delays, 40, 9, 0.3, 8))
    never = list(play_rounds(settings.fitted(), delays, 40, 9, 0.3))
    for record, round_ in zip(records.all, played, strict=True):
        assert record.closed_s == round_.closed_s
        assert record.arrivals == tuple(round_.arrivals)
        assert record.decode_error == round_.decoding.decode_error
    errors = [[r.decoding.decode_error for r in rounds] for rounds in (played, never)]
    assert errors[0][:8] == errors[1][:8]
    assert np.mean(errors[0][8:]) < np.mean(errors[1][8:])


@pytest.mark.parametrize("pass_s", [0.0, 0.3])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_timeline_is_the_virtual_clusters(
    scheme: str, pass_s: float, small_store: Path
) -> None:
    """Closing times, arrivals, their order, reasons and decodings agree to the last bit."""
    settings = chosen(small_store, scheme=scheme, delay="exponential:mean_s=0.2", seed=5)
    store = Store.open(small_store)
    records = Records()
    run_virtually(make_plan(settings, store, None), store, [records], pass_s)
    delays = settings.delays()
    played = list(play_rounds(settings.fitted(), delays, 12, 5, pass_s))
    assert len(records.all) == 12
    for record, round_ in zip(records.all, played, strict=True):
        assert record.closed_s == round_.closed_s
        assert record.opened_s == round_.opened_s
        assert record.reason == round_.reason
        assert [a.slot for a in record.arrivals] == [a.slot for a in round_.arrivals]
        assert [a.after_s for a in record.arrivals] == [a.after_s for a in round_.arrivals]
        assert [a.delay_s for a in record.arrivals] == [a.delay_s for a in round_.arrivals]
        assert record.decode_error == round_.decoding.decode_error
        assert record.erased_tasks == round_.decoding.erased_tasks


@pytest.mark.parametrize(
    "scheme",
    [
        "cached:r=1",
        "uncoded:r=2,cache=sag",
        "agc:c=2,r=2,cache=sag",
        "cached:c=3,r=3,parts=tasks",
    ],
)
def test_units_that_a_method_waits_for_are_waited_for_in_the_timeline(
    scheme: str, small_store: Path
) -> None:
    """As long as no round is rejected."""
    settings = chosen(
        small_store,
        scheme=scheme,
        delay="exponential:mean_s=0.5",
        seed=5,
        rounds=25,
        step="auto",
        until="none",
        optimizer="anchored-lbfgs:age=2",
    )
    store, records = Store.open(small_store), Records()
    run_virtually(make_plan(settings, store, None), store, [records], 0.1)
    coding, waits = settings.fitted(), partial(overdue_units, settings)
    played = list(play_rounds(coding, settings.delays(), 25, 5, 0.1, waits=waits))
    alike = [r.reason == p.reason for r, p in zip(records.all, played, strict=True)]
    n_alike = alike.index(False) if False in alike else 25
    assert n_alike >= 15
    assert sum(p.reason.endswith(WAITED) for p in played[:n_alike]) >= 2
    for record, round_ in zip(records.all[:n_alike], played, strict=False):
        assert record.closed_s == round_.closed_s
        assert record.arrivals == tuple(round_.arrivals)


@pytest.mark.parametrize("pass_s", [0.0, 0.1])
@pytest.mark.parametrize(
    "delay", ["persistent:count=2,slow_s=1", "shifted-exponential:shift_s=0.5,mean_s=0.4"]
)
@pytest.mark.parametrize(
    "scheme", ["agc:c=2,r=3", "frc:c=3,parts=tasks / first-copy / fraction:r=7"]
)
def test_equal_times_are_dealt_with_alike(
    scheme: str, delay: str, pass_s: float, small_store: Path
) -> None:
    """Slots with equal delays answer in the order in which they were sent the model."""
    settings = chosen(small_store, scheme=scheme, delay=delay)
    store = Store.open(small_store)
    records = Records()
    run_virtually(make_plan(settings, store, None), store, [records], pass_s)
    delays = DELAYS.build(delay, 6, 0)
    for record, round_ in zip(
        records.all, play_rounds(settings.fitted(), delays, 12, 0, pass_s), strict=True
    ):
        assert [a.slot for a in record.arrivals] == [a.slot for a in round_.arrivals]
        assert record.closed_s == round_.closed_s
        assert record.erased_tasks == round_.decoding.erased_tasks


def test_columns_sum_up_the_rounds(small_store: Path) -> None:
    settings = chosen(small_store, scheme="agc:c=2,r=3,scale=none")
    delays = DELAYS.build("exponential:mean_s=1", 6, 0)
    columns = timeline(settings.fitted(), delays, 50, 0)
    played = list(play_rounds(settings.fitted(), delays, 50, 0))
    assert columns.total_s == pytest.approx(played[-1].closed_s)
    assert columns.n_arrived.tolist() == [len(p.arrivals) for p in played]
    # Unscaled first-copy decoding: the weight of a task is 1 or, when it is erased, 0.
    assert columns.mean_weight == pytest.approx(1.0 - columns.erased_share)
    assert columns.decode_error == pytest.approx(columns.erased_share)
    assert sum(columns.reasons.values()) == 50


@pytest.mark.parametrize(
    "code",
    ["frc:c=2 / first-copy:scale=unbiased", "pairwise-balanced:d=2 / fixed", "uncoded / fixed"],
)
def test_snapshots_are_recorded_as_the_full_gradient_that_they_are(
    code: str, small_store: Path
) -> None:
    """Rounds 1, 5, 9 wait for everything and sum it up, whatever the decoder would weigh."""
    settings = chosen(small_store, scheme=f"{code} / fraction:r=3 / svrg:every=4", rounds=12)
    delays = DELAYS.build("exponential:mean_s=1", 6, 0)
    errors = timeline(settings.fitted(), delays, 12, 0).decode_error
    recorded = Records()
    run_virtually(
        make_plan(
            settings.changed(straggling={"delay": "exponential:mean_s=1"}),
            Store.open(small_store),
            None,
        ),
        Store.open(small_store),
        [recorded],
        0.0,
    )
    assert [r.decode_error for r in recorded.all] == errors.tolist()
    assert errors[[0, 4, 8]].tolist() == [0.0, 0.0, 0.0]
    assert (np.delete(errors, [0, 4, 8]) > 0).all()


@pytest.mark.timeout(60)
def test_virtual_time_is_free(small_store: Path) -> None:
    """Rounds of days, and longer than numbers of seconds tell apart, cost no more than others."""
    for delay in ("exponential:mean_s=1e6", "pareto:shape=0.1,scale_s=1"):
        recorded = Records()
        settings = chosen(small_store, scheme="uncoded", delay=delay, rounds=5)
        run_virtually(
            make_plan(settings, Store.open(small_store), None),
            Store.open(small_store),
            [recorded],
            0.0,
        )
        assert len(recorded.all) == 5
        assert recorded.all[-1].closed_s > 1e6


def test_computing_costs_what_the_parts_hold(small_store: Path) -> None:
    plain = chosen(small_store, scheme="egc:c=2").fitted().code
    assert compute_times_s(plain, 3.0) == pytest.approx(np.full((6, 1), 1.0))
    partial = chosen(small_store, scheme="partial:s=1,alpha=2 / least-squares / exact").fitted()
    times_s = compute_times_s(partial.code, 1.0)
    assert times_s.shape == (6, 2)
    assert times_s.sum(axis=1) == pytest.approx(partial.code.loads / partial.code.n_tasks)


@pytest.mark.parametrize("pass_s", [-1.0, float("nan"), float("inf")])
def test_an_impossible_pass_is_one_sentence(pass_s: float, small_store: Path) -> None:
    code = chosen(small_store, scheme="uncoded").fitted().code
    with pytest.raises(UsageError, match="a pass over all rows cannot take"):
        compute_times_s(code, pass_s)
