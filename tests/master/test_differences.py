"""Runs whose models travel as differences: what they save, what they cost, and what goes wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erasurehead.arrays import FloatArray, Vector
from erasurehead.errors import EXIT_OK, UsageError
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign
from erasurehead.wire.vectors.f1 import F1
from erasurehead_master.run.told import Told
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.master.test_plan import plan_for, store_with
from tests.support.virtual_run import COLUMNS, make_master, some_rows

CACHED = {
    "scheme": "uncoded:r=3,cache=sag",
    "workers": 6,
    "l2": 1e-2,
    "step": "auto",
    "delay": "exponential:mean_s=1",
}


class Listening(RealArithmetic):
    """Keeps at which points slots were asked, on all parameters."""

    def __init__(self, rows: CsrRows) -> None:
        super().__init__(rows)
        self.asked: dict[int, list[bytes]] = defaultdict(list)

    def gradient(
        self, assign: Assign, round_: int, theta: Vector, part: int
    ) -> tuple[list[FloatArray], list[float]]:
        self.asked[assign.slot].append(np.asarray(theta).tobytes())
        return super().gradient(assign, round_, theta, part)


class Kept(Told):
    """Keeps all points."""

    def __init__(self) -> None:
        super().__init__(F1(), COLUMNS, np.random.default_rng(0))
        self.points: list[bytes] = []

    def tell(self, query: FloatArray) -> FloatArray:
        point = super().tell(query)
        self.points.append(point.tobytes())
        return point


def running(
    disturb: Callable[[VirtualCluster], None] = lambda cluster: None,
    told: Told | None = None,
    **given: Any,
) -> VirtualCluster:
    """Return a cluster after its last round; `disturb` plans what happens meanwhile."""
    rows = some_rows()
    machine, descent = make_master(rows, **CACHED | given)
    descent.told = told or descent.told
    cluster = VirtualCluster(machine, descent, Listening(rows), Timing(), checked=True)
    for i in range(6):
        cluster.start(f"w{i}", i)
    disturb(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    return cluster


def test_they_come_to_where_whole_models_come() -> None:
    """Where there is a cache: no format of differences has a floor."""
    exact = running(rounds=200, wire={"differences": "none"}).conductor.model
    for name in ("f1", "f12", "f2"):
        found = running(rounds=200, wire={"differences": name}).conductor.model
        assert np.abs(found - exact).max() < 1e-9 * np.abs(exact).max()


def test_a_difference_is_an_eighth_of_a_model() -> None:
    """In the first round all are sent whole models."""
    for name, bytes_a_value in (("none", 8), ("f2", 2), ("f12", 1.5), ("f1", 1)):
        records = running(rounds=5, wire={"differences": name, "dense_share": 0.0}).records
        scale = 0 if name == "none" else 8
        told = [6 * 8 * 8, *4 * [6 * (8 * bytes_a_value + scale)]]
        assert [record.bytes_out for record in records] == told


def test_workers_are_asked_at_the_points_that_the_master_knows() -> None:
    """Though messages are lost, a worker dies, and another one comes in its place."""

    def disturb(cluster: VirtualCluster) -> None:
        first, second, *_ = cluster.workers.values()

        def cut(on: bool) -> None:
            first.cut = on

        for begins, ends in ((1.3, 1.9), (4.0, 4.2)):
            cluster.clock.at(begins, partial(cut, True))
            cluster.clock.at(ends, partial(cut, False))
        cluster.clock.at(6.0, partial(cluster.depart, second))
        cluster.clock.at(9.0, partial(cluster.start, "another", 1))

    told = Kept()
    cluster = running(disturb, told, rounds=80, wire={"dense_share": 0.0})
    assert isinstance(cluster.arithmetic, Listening)
    assert len(told.points) == 80
    for slot in range(6):
        asked = cluster.arithmetic.asked[slot]
        assert len(asked) > 10
        assert set(asked) <= set(told.points)


@pytest.mark.parametrize(
    ("given", "differences"),
    [
        ({"scheme": "cached"}, "f12"),
        ({"scheme": "cached", "optimizer": "gradient-descent"}, None),
        ({"scheme": "cached", "step": "0.1"}, None),
        ({"scheme": "cached", "wire": {"differences": "none"}}, None),
        ({"scheme": "cached", "wire": {"differences": "f1"}}, "f1"),
        ({"scheme": "agc:c=2,r=2"}, None),
        ({"scheme": "agc:c=2,r=2", "wire": {"differences": "f1"}}, "f1"),
        ({"scheme": "egc:c=2"}, None),
        ({"scheme": "egc:c=2,cache=sag"}, None),
    ],
)
def test_they_are_taken_where_the_method_knows_at_which_points_units_were_asked(
    tmp_path: Path, given: dict[str, Any], differences: str | None
) -> None:
    store = store_with(tmp_path / "store", [0.0, 1.0] * 20)
    plan = plan_for(store, workers=6, **given)
    assert plan.differences_spec == differences
    assert plan.assign(0, 0).differences == differences
    assert differences is None or plan.frame_bytes >= 8 * plan.n_parameters


def test_an_exact_scheme_and_formats_that_cannot_be_divided_are_refused(tmp_path: Path) -> None:
    store = store_with(tmp_path / "store", [0.0, 1.0] * 20)
    with pytest.raises(UsageError, match=r"differences f1 .* exact gradient; use .* none"):
        plan_for(store, workers=6, scheme="egc:c=2", wire={"differences": "f1"})
    for name in ("q8", "f8"):
        with pytest.raises(
            UsageError, match=rf"format {name} cannot carry .* use .* f12, f1, f2 or f4"
        ):
            plan_for(store, workers=6, scheme="cached", wire={"differences": name})
