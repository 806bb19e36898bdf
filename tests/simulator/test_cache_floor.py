"""What approximate decoding cannot reach, it reaches with a cache: the exact minimum."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

L2, ROUNDS = 0.5, 160


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("stores") / "houses"
    options = {"rows": "600", "columns": "60", "nnz": "6", "labels": "numbers", "seed": "5"}
    return prepare("synthetic", source=None, out=out, options=options).store


def relative_gaps(store: Store, scheme: str) -> FloatArray:
    """(f - f*) / f* after every round of gradient descent with the automatic step."""
    x = store.train.matrix().toarray()
    y = np.asarray(store.train.labels)
    hessian = x.T @ x / len(y) + L2 * np.eye(x.shape[1])
    best = np.linalg.solve(hessian, x.T @ y / len(y))
    least = 0.5 * np.mean((x @ best - y) ** 2) + 0.5 * L2 * best @ best
    gaps: list[float] = []

    def rate(model: FloatArray) -> dict[str, float]:
        gaps.append(0.5 * (model - best) @ hessian @ (model - best) / least)
        return {}

    given = {
        "store": str(store.path),
        "scheme": scheme,
        "optimizer": "gradient-descent",
        "workers": 30,
        "rounds": ROUNDS,
        "l2": L2,
        "delay": "exponential:mean_s=0.5",
        "evaluate_every_rounds": 1,
    }
    plan = make_plan(load(RunSettings, given, environment={}), store, None)
    run_virtually(plan, store, [], 0.0, rate=rate)
    return np.array(gaps)


def test_plain_decoding_stalls_at_its_floor(store: Store) -> None:
    """agc at r = 11 of 30, c = 3: no round of the second half comes near the minimum."""
    gaps = relative_gaps(store, "agc:c=3,r=11")
    assert gaps[ROUNDS // 2 :].min() > 1e-6
    assert gaps[ROUNDS // 2 :].max() < 1e-1


@pytest.mark.parametrize(("cache", "times"), [("saga", 1.2), ("sag", 1.2), ("svrg:every=20", 3.0)])
def test_cached_decoding_reaches_the_minimum_as_exact_coding_does(
    store: Store, cache: str, times: float
) -> None:
    """The same arrivals: within 1e-12 of the minimum, after few rounds more than exact."""
    exact = relative_gaps(store, "egc:c=3")
    cached = relative_gaps(store, f"agc:c=3,r=11,cache={cache}")
    assert exact[-1] < 1e-12
    assert cached[-1] < 1e-12
    needed = [int(np.flatnonzero(gaps < 1e-10)[0]) for gaps in (exact, cached)]
    assert needed[1] <= times * needed[0]
