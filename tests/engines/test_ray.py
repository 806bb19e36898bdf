"""Runs on a real Ray cluster of two nodes, which are processes of this machine."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import erasurehead as eh
from erasurehead.records import RoundRecord
from tests.support.cluster_runs import SETTINGS, Harm, nurseries, small_store, wait_until

ray = pytest.importorskip("ray", reason="ray is not installed")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a cluster of a head with one CPU and a node with two."""
    from ray.cluster_utils import Cluster

    # Else Ray writes one into the home directory.
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=2)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_node_is_lost_and_another_one_helps_in_its_place(cluster: Any, tmp_path: Path) -> None:
    store = small_store(tmp_path)
    with pytest.raises(eh.UsageError, match=r"asks for 9 workers and Ray has room for 3"):
        eh.ray.train(store, workers=9, membership={"max_wait_s": 0.1})
    [node] = cluster.worker_nodes
    orphans: list[psutil.Process] = []

    def replace() -> None:
        orphans.extend(nurseries())
        cluster.remove_node(node, allow_graceful=False)
        cluster.add_node(num_cpus=2, wait=False)

    def is_helped(record: RoundRecord) -> bool:
        lost = any("was lost with its actor" in notice for notice in harm.notices)
        return lost and len(record.arrivals) + len(record.stragglers) == 3

    harm = Harm(5, replace, is_helped)
    run = eh.ray.train(store, spread=True, observers=[harm], scheme="uncoded", **SETTINGS)
    assert run.summary.reason == "seen enough"
    assert run.settings.coding.workers == 3
    assert run.history[-1].workers in ((), ("ray-0", "ray-1", "ray-2"))
    assert len(orphans) >= 3
    wait_until(lambda: not nurseries() and not any(p.is_running() for p in orphans))
    assert not ray.util.list_named_actors(all_namespaces=True)
