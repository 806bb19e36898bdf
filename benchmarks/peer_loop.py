"""What every peer of `benchmarks/peers.py` has in common: the rows, their gradients, the loop.

It needs numpy and scipy alone, because peers run in an environment of their own. The problem lies
in a folder that `peers.py` has written: the rows as arrays of one CSR matrix, the delays of each
round and worker, and `problem.json`.

The loop is scipy's L-BFGS with gradients that workers make: a worker holds a block of rows, waits
for its delay of the round, and returns the sums of losses and gradients of its rows; the loop adds
those of all workers up. It ends when the gap has reached the mark, after the last round for which
there are delays, or when the time is over.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]

BEGAN = "PEERS_BEGAN"
"""The environment's variable that says when this process was started, in seconds of the clock; it
also marks all processes that belong to it."""

FIRST_ROUNDS = 2
"""Of which the time does not count: connections are made in them."""


@dataclass(frozen=True)
class Problem:
    """What is to be minimised, and under which conditions.

    Attributes
    ----------
    store, optimum: where our own side finds rows and optimum.
    rows, columns, l2, logistic: mean loss (logistic, or least squares) + (l2/2) |theta|^2.
    least, whole: the least value, and how far above it a model of zeros is.
    mark: the gap, as a share of `whole`, to be reached.
    workers: their number.
    delay: the model of the delays in `delays.npy`, shape (rounds, workers).
    limit_s: when to give up.
    kill_after: rounds after which two workers are killed; 0: none are.
    """

    store: str
    optimum: str
    rows: int
    columns: int
    l2: float
    logistic: bool
    least: float
    whole: float
    mark: float
    workers: int
    delay: str
    limit_s: float
    kill_after: int

    @classmethod
    def read(cls, folder: Path) -> Problem:
        """Read it from its folder."""
        return cls(**json.loads((folder / "problem.json").read_text(encoding="utf-8")))


@dataclass
class Course:
    """How a run went.

    Attributes
    ----------
    start_s: from starting the process to the first round.
    round_s: the median round.
    bytes_a_round: what went over the loopback device, whatever sent it.
    reached_s: from the first round until there was a model with the gap; None: there was none.
    rounds: there were.
    ended: how it ended if not with the mark.
    """

    start_s: float = 0.0
    round_s: float = 0.0
    bytes_a_round: float = 0.0
    reached_s: float | None = None
    rounds: int = 0
    ended: str = ""


class Block:
    """The rows of one worker; what actors are made of.

    Parameters
    ----------
    folder: of the problem.
    number: of the worker.
    """

    def __init__(self, folder: str, number: int) -> None:
        here = Path(folder)
        problem = Problem.read(here)
        ends = [problem.rows * i // problem.workers for i in (number, number + 1)]
        indptr, indices, values, labels = (
            np.load(here / f"{name}.npy", mmap_mode="r")
            for name in ("indptr", "indices", "values", "labels")
        )
        first, last = (int(indptr[end]) for end in ends)
        self._y = np.array(labels[slice(*ends)])
        self._x = csr_array(
            (
                np.array(values[first:last]),
                np.array(indices[first:last]),
                np.array(indptr[ends[0] : ends[1] + 1]) - first,
            ),
            shape=(ends[1] - ends[0], problem.columns),
        )
        self._delays_s = np.load(here / "delays.npy")[:, number]
        self._logistic = problem.logistic

    def pid(self) -> int:
        """Return the number of the process that this is in."""
        return os.getpid()

    def sums(self, theta: FloatArray, round_: int) -> FloatArray:
        """Return the sum of the losses, and of the gradients, shape (1 + columns,)."""
        time.sleep(float(self._delays_s[round_]))
        margins = self._x @ theta
        if self._logistic:
            loss = float(np.logaddexp(0.0, -self._y * margins).sum())
            off = -self._y * expit(-self._y * margins)
        else:
            off = margins - self._y
            loss = 0.5 * float(off @ off)
        return np.concatenate([[loss], self._x.T @ off])


class EndedError(Exception):
    """The loop has nothing more to do."""


Ask = Callable[[FloatArray, int], FloatArray]
"""From a model and the number of the round to the sum of what all workers return."""


def descend(problem: Problem, rounds: int, ask: Ask, pids: Callable[[], Sequence[int]]) -> Course:
    """Run the loop.

    Parameters
    ----------
    rounds: there are delays for.
    pids: returns the processes of two workers.
    """
    course = Course(start_s=time.time() - float(os.environ[BEGAN]))
    lasted_s: list[float] = []
    sent, begun = loopback_bytes(), time.perf_counter()
    asked = begun

    def value(theta: FloatArray) -> tuple[float, FloatArray]:
        nonlocal asked
        start = time.perf_counter()
        if start - begun > problem.limit_s or course.rounds == rounds:
            raise EndedError(f"not reached in {course.rounds} rounds")
        if problem.kill_after and course.rounds == problem.kill_after:
            pause()
            for pid in pids():
                os.kill(pid, signal.SIGKILL)
        asked = time.perf_counter()
        total = ask(theta, course.rounds)
        course.rounds += 1
        lasted_s.append(time.perf_counter() - asked)
        mean = total[0] / problem.rows + 0.5 * problem.l2 * float(theta @ theta)
        if mean - problem.least <= problem.mark * problem.whole:
            course.reached_s = start - begun  # the model was there when it was asked about
            raise EndedError
        return mean, total[1:] / problem.rows + problem.l2 * theta

    options = {"maxiter": 10**6, "maxfun": 10**6, "ftol": 0.0, "gtol": 0.0}
    try:
        minimize(value, np.zeros(problem.columns), jac=True, method="L-BFGS-B", options=options)
        course.ended = f"scipy finds nothing lower after {course.rounds} rounds"
    except EndedError as end:
        course.ended = str(end)
    except Exception as error:
        course.ended = f"{type(error).__name__} after {time.perf_counter() - asked:.1f} s"
    course.bytes_a_round = (loopback_bytes() - sent) / max(course.rounds, 1)
    course.round_s = statistics.median(lasted_s[FIRST_ROUNDS:] or [0.0])
    return course


def loopback_bytes() -> int:
    """Return how many bytes the loopback device has carried."""
    for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[0])
    return 0


def pause() -> None:
    """Let `peers.py` look at the memory of all processes."""
    print("pause", flush=True)
    sys.stdin.readline()


def tell(course: Course) -> None:
    """Say how it went."""
    print(json.dumps(asdict(course)), flush=True)


def given_problem() -> tuple[str, Problem, int]:
    """Return the folder of the command line, its problem, and the rounds with delays."""
    folder = sys.argv[1]
    delays: Any = np.load(Path(folder) / "delays.npy", mmap_mode="r")
    return folder, Problem.read(Path(folder)), len(delays)
