"""The loop of `peer_loop.py` with mpi4py: broadcast and reduce; `benchmarks/peers.py` starts it.

Rank 0 has the loop and no rows.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np
from peer_loop import Block, FloatArray, descend, given_problem, tell

NO_ROUND = -1.0


def main() -> None:
    """Take the part of this rank."""
    folder, problem, rounds = given_problem()
    mpi: Any = import_module("mpi4py.MPI")
    everyone = mpi.COMM_WORLD
    block = Block(folder, everyone.rank - 1) if everyone.rank else None
    pids = everyone.gather(os.getpid(), root=0)
    question = np.empty(1 + problem.columns)
    nothing, total = np.zeros(1 + problem.columns), np.empty(1 + problem.columns)
    if block is not None:
        while True:
            everyone.Bcast(question, root=0)
            if question[0] == NO_ROUND:
                return
            everyone.Reduce(block.sums(question[1:], int(question[0])), None, root=0)

    def ask(theta: FloatArray, round_: int) -> FloatArray:
        question[0], question[1:] = round_, theta
        everyone.Bcast(question, root=0)
        everyone.Reduce(nothing, total, root=0)
        return total.copy()

    tell(descend(problem, rounds, ask, lambda: pids[1:3]))
    question[0] = NO_ROUND
    everyone.Bcast(question, root=0)


if __name__ == "__main__":
    main()
