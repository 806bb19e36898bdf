"""The loop of `peer_loop.py` with Dask actors; `benchmarks/peers.py` starts it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from peer_loop import Block, FloatArray, descend, given_problem, tell


def main() -> None:
    """Start a local cluster with an actor for each block, and descend."""
    folder, problem, rounds = given_problem()
    distributed: Any = import_module("distributed")
    cluster = distributed.LocalCluster(
        n_workers=problem.workers, threads_per_worker=1, dashboard_address=None, memory_limit=0
    )
    client = distributed.Client(cluster)
    pids: dict[str, int] = client.run(os.getpid)
    placed = [
        client.submit(Block, folder, number, actor=True, workers=[address])
        for number, address in enumerate(pids)
    ]
    actors = [future.result() for future in placed]

    def ask(theta: FloatArray, round_: int) -> FloatArray:
        pending = [a.sums(theta, round_) for a in actors]
        total: FloatArray = sum(p.result() for p in pending)
        return total

    tell(descend(problem, rounds, ask, lambda: list(pids.values())[:2]))
    client.close()
    cluster.close()


if __name__ == "__main__":
    main()
