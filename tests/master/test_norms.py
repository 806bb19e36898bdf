"""Results far too large to be honest are erasures, and who sends them is set aside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from erasurehead.wire.messages import Result, ToMaster
from erasurehead_master.machine.norms import FEWEST, NormLimit
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.worker import VirtualWorker
from tests.support.example_messages import packed

Virtual = Callable[..., VirtualCluster]


def test_the_limit_is_a_multiple_of_the_median_of_recent_norms() -> None:
    limit = NormLimit(10.0, window=5)
    assert all(limit.admit(norm) for norm in (1.0, 2.0, 3.0))
    assert not limit.admit(20.1)
    assert limit.admit(20.0)
    assert not limit.admit(float("inf"))


def test_norms_may_shrink_and_grow_slowly_without_end() -> None:
    limit = NormLimit(3.0, window=8)
    for norms in (np.geomspace(1.0, 1e-9, 300), np.geomspace(1e-9, 1e9, 600)):
        assert all(limit.admit(float(norm)) for norm in norms)


def test_gradients_of_zero_condemn_nobody() -> None:
    limit = NormLimit(3.0, window=8)
    assert all(limit.admit(norm) for norm in (0.0, 0.0, 0.0, 0.0, 5.0))


@given(
    honest=st.lists(st.floats(1.0, 2.0), min_size=60, max_size=60),
    attacks=st.sets(st.integers(FEWEST, 59), max_size=20),
)
def test_a_minority_cannot_talk_the_limit_up(honest: list[float], attacks: set[int]) -> None:
    limit = NormLimit(10.0, window=20)
    for i, norm in enumerate(honest):
        assert limit.admit(norm)
        if i in attacks:
            assert not limit.admit(norm * 1e3)


def run(
    virtual: Virtual, multiple: float | None, monkeypatch: pytest.MonkeyPatch
) -> VirtualCluster:
    """Six workers; one of them sends its result a thousand times as large from round 5 on."""
    cluster = virtual(
        scheme="egc:c=3", workers=6, rounds=30, limits={"norm_multiple": multiple}, step="0.1"
    )
    really = cluster.to_master

    def to_master(worker: VirtualWorker, message: ToMaster) -> None:
        if worker.name == "w4" and isinstance(message, Result) and message.round >= 5:
            (honest,) = message.vectors
            message = replace(message, vectors=(packed(honest.arrays[0] * 1e3),))
        really(worker, message)

    monkeypatch.setattr(cluster, "to_master", to_master)
    for i in range(6):
        cluster.start(f"w{i}", i)
    cluster.run()
    return cluster


def test_a_liar_is_found_out_and_costs_nothing(
    virtual: Virtual, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code has three copies of each task, so without the liar the gradient is still exact."""
    quiet = virtual(scheme="egc:c=3", workers=6, rounds=30, step="0.1")
    for i in range(6):
        quiet.start(f"w{i}", i)
    quiet.run()
    guarded = run(virtual, 20.0, monkeypatch)
    assert list(guarded.machine.membership.set_aside) == [b"w4/9"]
    assert guarded.machine.admission.refused["over-norm"] == 3
    np.testing.assert_allclose(model(guarded), model(quiet), rtol=1e-10)
    unguarded = run(virtual, None, monkeypatch)
    assert not unguarded.machine.admission.refused
    assert not np.allclose(model(unguarded), model(quiet), rtol=1e-2)


def model(cluster: VirtualCluster) -> np.ndarray:
    return np.array(cluster.conductor.model)
