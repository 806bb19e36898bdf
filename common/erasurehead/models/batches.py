"""Mini-batch rounds: which of its rows a task uses in a round.

Every copy of a task must use the same rows, whichever worker holds it and whatever versions of
libraries that worker runs. So the rows follow from the run's seed, the round and the place of the
task in the store, by raw numbers of a generator whose stream numpy promises to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.models.rows import Chunk

STREAM = 0xBA7C
"""Sets the random numbers that batches are drawn with apart from others of the same seed."""


def rows_of_round(seed: int, round_: int, first: int, n_rows: int, share: float) -> IntArray:
    """Return which rows of a task a round uses, shape (rows used,), counted from 0, ascending.

    They are `share` of the rows, to the nearest whole number and at least one. Every set of so many
    rows is equally likely, and rounds are independent: the rows with the smallest of `n_rows` raw
    numbers of PCG64 are taken.

    Parameters
    ----------
    first: the task's first row in the store, by which tasks are told apart.
    n_rows: that the task has, at least 1.
    """
    n_taken = min(max(1, round(share * n_rows)), n_rows)
    if n_taken == n_rows:
        return np.arange(n_rows)
    drawn = np.random.PCG64((seed, STREAM, round_, first)).random_raw(n_rows)
    return np.sort(np.argpartition(drawn, n_taken - 1)[:n_taken])


@dataclass(frozen=True, eq=False)
class Batches:
    """What a worker takes of its rows in each round.

    Attributes
    ----------
    share: of each task's rows, above 0 and below 1.
    seed: of the run.
    ranges: first and past-the-end row of each task, shape (tasks, 2), in the order in which the
        worker holds them.
    """

    share: float
    seed: int
    ranges: IntArray

    @classmethod
    def of(cls, share: float, seed: int, ranges: IntArray) -> Self | None:
        """Return the batches of a run; None: every round uses all rows."""
        return None if share == 1.0 else cls(share, seed, ranges)

    def of_round(self, round_: int) -> tuple[IntArray, FloatArray]:
        """Return the places of a round's rows among the worker's, and what each stands for.

        Places are ascending, and both have the shape (rows of the round,). A row stands for as many
        rows as its task has for each that is taken, so that sums over the round's rows are right on
        average.
        """
        places, shares, before = [], [], 0
        for first, end in self.ranges.tolist():
            n_rows = end - first
            taken = rows_of_round(self.seed, round_, first, n_rows, self.share)
            places.append(before + taken)
            shares.append(np.full(len(taken), n_rows / len(taken)))
            before += n_rows
        return np.concatenate(places), np.concatenate(shares)


def some_rows(
    chunk: Chunk, places: IntArray, shares: FloatArray, weights_shape: tuple[int, int]
) -> Chunk:
    """Return some rows of a chunk, each counted for what it stands for.

    Parameters
    ----------
    places: in the chunk, ascending, shape (rows,).
    shares: what multiplies the rows' coefficients, shape (rows,).
    weights_shape: (parts, vectors) of the coefficients.
    """
    matrix = chunk.matrix[places]
    if chunk.coefficients is None:
        coefficients = np.broadcast_to(shares, (*weights_shape, len(places)))
    else:
        coefficients = chunk.coefficients[:, :, places] * shares
    return Chunk(
        matrix=matrix,
        transposed=matrix.T,
        labels=chunk.labels[places],
        coefficients=coefficients,
        offsets=None if chunk.offsets is None else chunk.offsets[places],
    )
