"""What tests of the master's state machine start from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from erasurehead.wire.messages import Result
from erasurehead.wire.vectors.base import Packed
from erasurehead_master.machine.events import Received
from erasurehead_simulator.virtual.cluster import VirtualCluster
from tests.support.example_messages import packed
from tests.support.virtual_run import COLUMNS, some_rows

Virtual = Callable[..., VirtualCluster]


def start_all(cluster: VirtualCluster) -> None:
    """Start a worker for each slot, which it asks for."""
    for slot in range(cluster.machine.plan.code.n_workers):
        cluster.start(f"w{slot}", slot)


def reference_theta(rounds: int, step: float = 0.5) -> np.ndarray:
    """Plain gradient descent on all rows in one place."""
    rows = some_rows()
    x = np.zeros((len(rows.labels), COLUMNS))
    for i in range(len(rows.labels)):
        x[i, rows.indices[3 * i : 3 * i + 3]] = 1.0
    theta = np.zeros(COLUMNS)
    for _ in range(rounds):
        theta = theta - step * x.T @ (x @ theta - rows.labels) / len(rows.labels)
    return theta


def theta_of(cluster: VirtualCluster) -> np.ndarray:
    """Return the model of a run, shape (COLUMNS,)."""
    return np.array(cluster.conductor.model)


def running(virtual: Virtual, **settings: object) -> VirtualCluster:
    """Return a cluster in the middle of its first round."""
    settings = {"workers": 2, "scheme": "uncoded", "delay": "exponential:mean_s=9", **settings}
    cluster = virtual(**settings)
    start_all(cluster)
    cluster.run(until_s=0.001)
    assert cluster.machine.training.rounds.is_open
    return cluster


def result_of(
    cluster: VirtualCluster, slot: int = 0, vectors: tuple[Packed, ...] | None = None
) -> Received:
    """Return a slot's result of the first round, of ones unless vectors are given, as it comes."""
    support = cluster.machine.training.supports[slot]
    width = COLUMNS if support is None else len(support)
    if vectors is None:
        vectors = (packed(np.ones(width), cluster.machine.plan.format_spec),)
    result = Result(
        epoch=0,
        round=1,
        slot=slot,
        part=0,
        vectors=vectors,
        loss=[1.0],
        compute_s=0.0,
        delay_s=0.0,
    )
    peer = next(p for s, p in cluster.machine.membership.ready_slots() if s == slot)
    return Received(peer, result)
