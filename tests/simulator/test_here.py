"""A run in this process by the wall clock: the arithmetic of any run, and real delays."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_INTERRUPTED
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.here import run_here
from erasurehead_simulator.virtual.virtual_run import run_virtually


class Watch(Observer):
    def __init__(self, interrupt_at: int = 0) -> None:
        self.records: list[RoundRecord] = []
        self.theta: Any = None
        self._interrupt_at = interrupt_at

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        if record.round == self._interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)

    def model(self, theta: Any, start: Any, rounds: int) -> None:
        self.theta = theta.copy()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    options = {"rows": "200", "columns": "10", "nnz": "3"}
    out = tmp_path_factory.mktemp("here") / "store"
    return prepare("synthetic", source=None, out=out, options=options).store


def settings(**given: object) -> RunSettings:
    own = {"scheme": "uncoded", "workers": 3, "rounds": 8, "until": "none", "store": "s"}
    return load(RunSettings, {**own, **given}, environment={})


def test_the_model_is_that_of_the_simulator(store: Store) -> None:
    plan = make_plan(settings(), store, None)
    here, virtual = Watch(), Watch()
    summary = run_here(plan, store, [here])
    run_virtually(plan, store, [virtual], 1.0)
    np.testing.assert_array_equal(here.theta, virtual.theta)
    assert summary.metrics.keys() == {"auc", "accuracy", "log_loss"}
    assert 0 < here.records[-1].closed_s <= summary.wall_s


def test_delays_are_waited_for_all_at_once(store: Store) -> None:
    chosen = settings(delay="exponential:mean_s=0.02")
    watch = Watch()
    run_here(make_plan(chosen, store, None), store, [watch])
    delays = chosen.delays()
    for record in watch.records:
        drawn = delays.delays_s(record.round, 1 / 3)
        assert record.duration_s >= drawn.max()
        after = {a.slot: a.after_s for a in record.arrivals}
        assert all(after[slot] >= drawn[slot] for slot in range(3))


def test_an_interrupt_ends_it(store: Store) -> None:
    watch = Watch(interrupt_at=3)
    summary = run_here(make_plan(settings(rounds=10**6), store, None), store, [watch])
    assert summary.exit_code == EXIT_INTERRUPTED
    assert summary.rounds == len(watch.records) < 100
    assert watch.theta is not None
