"""The adaptive rule knows whether what is missing is lost or only stale: runs on virtual time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

L2, WORKERS, SEEDS = 0.05, 30, (0, 1)
TARGET = 1e-12
"""Of the first gap: deep enough for finding out, half a second, to be a small part."""

ADAPTIVE = "frc:c=3 / first-copy:scale=coverage / adaptive"


class Rounds(Observer):
    """Keeps what became of every round."""

    def __init__(self) -> None:
        self.records: list[RoundRecord] = []

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("stores") / "houses"
    options = {"rows": "600", "columns": "60", "nnz": "6", "labels": "numbers", "seed": "5"}
    return prepare("synthetic", source=None, out=out, options=options).store


@cache
def minimum(path: Path) -> tuple[FloatArray, FloatArray]:
    """The Hessian of the problem, and its minimum."""
    store = Store.open(path)
    x = store.train.matrix().toarray()
    hessian = x.T @ x / len(x) + L2 * np.eye(x.shape[1])
    return hessian, np.linalg.solve(hessian, x.T @ np.asarray(store.train.labels) / len(x))


def run(
    store: Store,
    scheme: str,
    seed: int,
    pass_s: float,
    rounds: int = 400,
    optimizer: str = "gradient-descent",
    target: float = TARGET,
) -> tuple[float, list[RoundRecord]]:
    """Seconds until the gap is `target` of the first, infinite if never; and the rounds."""
    hessian, best = minimum(store.path)
    first = 0.5 * best @ hessian @ best
    gaps: list[float] = []

    def rate(model: FloatArray) -> dict[str, float]:
        gaps.append(float(0.5 * (model - best) @ hessian @ (model - best) / first))
        return {}

    given = {
        "store": str(store.path),
        "scheme": scheme,
        "workers": WORKERS,
        "rounds": rounds,
        "seed": seed,
        "l2": L2,
        "optimizer": optimizer,
        "until": "none",
        "delay": "exponential:mean_s=0.5",
        "evaluate_every_rounds": 1,
    }
    seen = Rounds()
    plan = make_plan(load(RunSettings, given, environment={}), store, None)
    run_virtually(plan, store, [seen], pass_s, rate=rate, enough=lambda _: gaps[-1] <= target)
    closed_s = seen.records[-1].closed_s
    return closed_s if gaps[-1] <= target else np.inf, seen.records


@pytest.mark.parametrize("pass_s", [0.2, 1.0])
def test_a_cached_scheme_stops_early_and_about_as_early_as_is_best(
    store: Store, pass_s: float
) -> None:
    """30 workers late by Exp(0.5 s), c = 3, 20 or 100 ms of computing: after one exact round the
    rule settles on 2 to 5 arrivals, and is within 15 % of the best fixed number."""
    fixed = [
        np.mean([run(store, f"agc:c=3,r={r},cache=sag", seed, pass_s)[0] for seed in SEEDS])
        for r in (1, 2, 3, 5)
    ]
    found = [run(store, f"{ADAPTIVE}:explore=50 / sag", seed, pass_s) for seed in SEEDS]
    assert np.mean([seconds for seconds, _ in found]) <= 1.15 * min(fixed)
    for _, records in found:
        settled = [len(record.arrivals) for record in records[len(records) // 2 :]]
        assert 2 <= np.median(settled) <= 5
        assert "warm-up 1 of 1" in records[0].reason
        assert "% of the cache" in records[-1].reason or "looked further" in records[-1].reason


def test_with_a_method_that_follows_units_it_waits_for_a_few_more(store: Store) -> None:
    """Newton's steps go most of the way that is left, so what is stale costs more than with steps
    of gradient descent: the rule comes as near to the best of the fixed numbers all the same, but
    for its warm-up, in which it waits for all workers."""
    seconds = {
        r: np.mean([followed(store, f"agc:c=3,r={r},cache=sag", seed)[0] for seed in SEEDS])
        for r in (3, 5, 8)
    }
    found = [followed(store, f"{ADAPTIVE}:explore=50 / sag", seed) for seed in SEEDS]
    assert np.mean([seconds for seconds, _ in found]) <= 1.4 * min(seconds.values())
    _, records = found[0]
    assert "times the rounds" in records[-1].reason or "looked further" in records[-1].reason


def followed(store: Store, scheme: str, seed: int) -> tuple[float, list[RoundRecord]]:
    return run(store, scheme, seed, 0.2, optimizer="anchored-lbfgs", target=1e-6)


def test_without_a_cache_the_rule_still_waits_for_most_blocks(store: Store) -> None:
    """The same arrivals, nothing remembered: five exact rounds, then r with an error below 1/2."""
    _, records = run(store, ADAPTIVE, 0, 0.2, rounds=60)
    assert all("warm-up" in record.reason for record in records[:5])
    settled = [len(record.arrivals) for record in records[30:]]
    assert 6 <= np.median(settled) <= 13
    assert "of the cache" not in "".join(record.reason for record in records)


def test_snapshots_are_not_a_cache_that_arrivals_renew(store: Store) -> None:
    """svrg renews only in the rounds of its snapshots: the rule judges decode errors as before."""
    _, records = run(store, f"{ADAPTIVE} / svrg:every=20", 0, 0.2, rounds=40)
    assert "of the cache" not in "".join(record.reason for record in records)
    assert np.median([len(record.arrivals) for record in records[25:40]]) >= 6
