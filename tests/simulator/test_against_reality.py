"""A simulated run against the same run with real processes and sockets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_local.train import train
from erasurehead_simulator.virtual.virtual_run import simulate

WORKERS, ROUNDS = 4, 4
DELAY = "exponential:mean_s=1.5"
GAP_S = 0.4
"""Between any two arrivals of a round: many times what a busy machine adds to a delay."""


class Watch(Observer):
    def __init__(self) -> None:
        self.records: list[RoundRecord] = []
        self.theta: FloatArray = np.zeros(0)

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)

    def model(self, theta: FloatArray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()


def seed_with_gaps() -> int:
    """The first seed whose delays are so far apart that timing cannot change who comes first."""
    for seed in range(10_000):
        model = DELAYS.build(DELAY, WORKERS, seed)
        rounds = [np.sort(model.delays_s(t, 1.0)) for t in range(1, ROUNDS + 1)]
        if min(np.diff(round_).min() for round_ in rounds) > GAP_S:
            return seed
    raise AssertionError("no such seed")


@pytest.mark.parametrize(
    ("scheme", "batch"),
    [
        ("agc:c=2,r=2", 0.2),
        ("uncoded:r=3", 1.0),
        ("cyclic-sums:c=2 / circular / fraction:r=2", 1.0),
        ("agc:c=2,r=2,cache=saga", 1.0),
    ],
)
def test_a_simulated_run_is_the_real_one(scheme: str, batch: float, small_store: Path) -> None:
    """1. Real workers sleep for drawn delays. 2. Virtual ones do so under a virtual clock. 3. The
    same slots arrive in every round, and the models agree to 1e-12."""
    given = {
        "store": str(small_store),
        "workers": WORKERS,
        "rounds": ROUNDS,
        "step": "0.5",
        "seed": seed_with_gaps(),
        "scheme": scheme,
        "batch": batch,
        "delay": DELAY,
    }
    settings = load(RunSettings, given, environment={})
    real, virtual = Watch(), Watch()
    train(settings, [real])
    simulate(settings, [virtual])
    for r, v in zip(real.records, virtual.records, strict=True):
        assert [a.slot for a in r.arrivals] == [a.slot for a in v.arrivals]
        assert [a.delay_s for a in r.arrivals] == [a.delay_s for a in v.arrivals]
        assert r.decode_error == v.decode_error
        assert r.train_loss == pytest.approx(v.train_loss, rel=1e-12)
    assert any(r.decode_error > 0 for r in real.records)
    assert virtual.theta.any()
    np.testing.assert_allclose(
        virtual.theta, real.theta, rtol=1e-12, atol=1e-12 * np.abs(real.theta).max()
    )


@pytest.mark.parametrize("cache", ["", " / saga"])
def test_so_is_one_whose_workers_send_task_by_task(
    cache: str, small_store: Path, tmp_path: Path
) -> None:
    """Rounds close at the fourth of eight tasks, in the middle of what a worker does."""
    rng = np.random.default_rng(3)
    # Halves of them are 0.4 s apart from each other and from wholes, up to the fifth result.
    delays_s = np.array([rng.permutation([1.0, 2.8, 4.4, 7.2]) for _ in range(ROUNDS)])
    np.savez(tmp_path / "delays.npz", delays_s=delays_s)
    given = {
        "store": str(small_store),
        "workers": WORKERS,
        "rounds": ROUNDS,
        "step": "0.5",
        "scheme": f"frc:c=2,parts=tasks / first-copy:scale=coverage / fraction:r=4{cache}",
        "delay": f"trace:file={tmp_path / 'delays.npz'}",
    }
    settings = load(RunSettings, given, environment={})
    real, virtual = Watch(), Watch()
    train(settings, [real])
    simulate(settings, [virtual])
    for r, v in zip(real.records, virtual.records, strict=True):
        assert r.reason == v.reason
        assert [a.slot for a in r.arrivals] == [a.slot for a in v.arrivals]
        assert [a.delay_s for a in r.arrivals] == [a.delay_s for a in v.arrivals]
        assert (r.decode_error, r.erased_tasks) == (v.decode_error, v.erased_tasks)
        assert r.train_loss == pytest.approx(v.train_loss, rel=1e-12)
    # The quickest worker sent both tasks, and two others one of theirs each, which counts.
    assert any(r.reason == "4 of 8 arrived" and len(r.arrivals) == 3 for r in real.records)
    np.testing.assert_allclose(
        virtual.theta, real.theta, rtol=1e-12, atol=1e-12 * np.abs(real.theta).max()
    )
