"""The loop of `peer_loop.py` with Ray actors; `benchmarks/peers.py` starts it."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from peer_loop import Block, FloatArray, descend, given_problem, tell

OBJECT_STORE_BYTES = 200_000_000


def main() -> None:
    """Start Ray with an actor for each block, and descend."""
    folder, problem, rounds = given_problem()
    # Actors are processes of another program, which must find this module too.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    ray: Any = import_module("ray")
    ray.init(
        num_cpus=problem.workers,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    actor = ray.remote(Block)
    actors = [actor.remote(folder, number) for number in range(problem.workers)]
    pids = ray.get([a.pid.remote() for a in actors])

    def ask(theta: FloatArray, round_: int) -> FloatArray:
        sent = ray.put(theta)
        total: FloatArray = sum(ray.get([a.sums.remote(sent, round_) for a in actors]))
        return total

    tell(descend(problem, rounds, ask, lambda: pids[:2]))
    ray.shutdown()


if __name__ == "__main__":
    main()
