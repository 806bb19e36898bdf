"""A run's records as columns, read in one pass, so that a long run never lies in memory whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from erasurehead.errors import DataError
from erasurehead.records import RoundRecord
from erasurehead.runs import Run
from erasurehead.settings.numbers import AUTO
from erasurehead_cli.results.holdup_table import Stragglers

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

GRID_CELLS = 24_000
"""Cells of an arrival grid at most, so that any run draws as a small picture."""

GRID_SLOTS = 240


_COLUMNS: dict[str, Callable[[RoundRecord], float]] = {
    "closed_s": lambda r: r.closed_s,
    "duration_s": lambda r: r.duration_s,
    "encode_s": lambda r: r.encode_s,
    "wait_s": lambda r: r.wait_s,
    "decode_s": lambda r: r.decode_s,
    "step_s": lambda r: r.step_s,
    "n_arrived": lambda r: len(r.arrivals),
    "erased_tasks": lambda r: r.erased_tasks,
    "decode_error": lambda r: r.decode_error,
    "train_loss": lambda r: r.train_loss,
    "gap": lambda r: r.gap,
    "bytes_moved": lambda r: r.bytes_in + r.bytes_out,
}


@dataclass(frozen=True)
class Evaluation:
    """The metrics of the model after `round`, `closed_s` after the start of the run."""

    round: int
    closed_s: float
    metrics: dict[str, float]


class ArrivalGrid:
    """When each slot arrived in each round; neighbours share a cell where there are too many.

    Attributes
    ----------
    slots_per_cell, rounds_per_cell: how many share one.
    """

    def __init__(self, n_slots: int, n_rounds: int) -> None:
        self.slots_per_cell = -(-n_slots // GRID_SLOTS)
        n_rows = -(-n_slots // self.slots_per_cell)
        self.rounds_per_cell = max(1, -(-n_rounds * n_rows // GRID_CELLS))
        shape = (n_rows, max(1, -(-n_rounds // self.rounds_per_cell)))
        self._sums_s = np.zeros(shape)
        self._counts = np.zeros(shape, dtype=np.int64)
        slots = np.bincount(np.arange(n_slots) // self.slots_per_cell, minlength=n_rows)
        rounds = np.bincount(np.arange(n_rounds) // self.rounds_per_cell, minlength=shape[1])
        self._possible = np.outer(slots, rounds)

    def add(self, index: int, slots: IntArray, after_s: FloatArray) -> None:
        """Take the arrivals of the round at place `index`, from 0."""
        column = index // self.rounds_per_cell
        np.add.at(self._sums_s[:, column], slots // self.slots_per_cell, after_s)
        np.add.at(self._counts[:, column], slots // self.slots_per_cell, 1)

    @property
    def mean_s(self) -> FloatArray:
        """Mean arrival time of each cell, in seconds; NaN where no slot arrived."""
        with np.errstate(invalid="ignore"):
            return self._sums_s / np.where(self._counts, self._counts, np.nan)

    @property
    def share(self) -> FloatArray:
        """Share of the results that arrived before the round closed, for each cell."""
        return self._counts / np.maximum(self._possible, 1)


@dataclass(frozen=True, eq=False)
class Series:
    """Columns of shape (rounds,), and of shape (k,) for the slots.

    Attributes
    ----------
    gap: NaN where it is unknown.
    bytes_moved: sent and received.
    arrived, straggled: rounds in which a slot arrived, or was sent the model and did not; in
        the others it was not filled.
    took_part: whether a slot was filled, shape (rounds, k).
    arrival_sum_s: sum of a slot's arrival times.
    reasons: why rounds closed.
    n_late: results of earlier rounds that were still heard.
    stragglers: the slots that held the run up.
    """

    run: Run
    rounds: IntArray
    closed_s: FloatArray
    duration_s: FloatArray
    encode_s: FloatArray
    wait_s: FloatArray
    decode_s: FloatArray
    step_s: FloatArray
    n_arrived: FloatArray
    erased_tasks: FloatArray
    decode_error: FloatArray
    train_loss: FloatArray
    gap: FloatArray
    bytes_moved: FloatArray
    evaluations: tuple[Evaluation, ...]
    arrived: IntArray
    straggled: IntArray
    took_part: npt.NDArray[np.bool_]
    arrival_sum_s: FloatArray
    grid: ArrivalGrid
    reasons: Counter[str]
    n_late: int
    stragglers: Stragglers

    @property
    def metric_names(self) -> list[str]:
        """The metrics that were evaluated, in the order in which the model reports them."""
        return list(self.evaluations[0].metrics) if self.evaluations else []


def run_labels(runs: Sequence[Run]) -> list[str]:
    """Return the scheme of each run; with the optimizer that it names, where these differ."""
    optimizers = [run.settings.descent.optimizer for run in runs]
    differ = len(set(optimizers)) > 1
    return [
        f"{run.settings.coding.scheme} with {optimizer}"
        if differ and optimizer != AUTO
        else run.settings.coding.scheme
        for run, optimizer in zip(runs, optimizers, strict=True)
    ]


def read_series(run: Run) -> Series:
    """Read a finished run once.

    Raises
    ------
    DataError: the run is unfinished, closed no round, is damaged, or names a slot it has not.
    """
    if run.summary is None:
        raise DataError(f"run {run.path} is unfinished; wait for its end or run it again")
    if not run.summary.rounds:
        raise DataError(
            f"run {run.path} closed no round ({run.summary.reason}); there is nothing to show"
        )
    n_slots = run.settings.coding.workers
    grid = ArrivalGrid(n_slots, run.summary.rounds)
    arrived, straggled = np.zeros((2, n_slots), dtype=np.int64)
    took_part = np.zeros((run.summary.rounds, n_slots), dtype=np.bool_)
    arrival_sum_s = np.zeros(n_slots)
    rounds = np.empty(run.summary.rounds, dtype=np.int64)
    columns = np.empty((len(_COLUMNS), run.summary.rounds))
    evaluations: list[Evaluation] = []
    reasons: Counter[str] = Counter()
    n_late = 0
    who = Stragglers(run.settings)
    for index, record in enumerate(run):
        if index >= run.summary.rounds:
            continue  # the reader says at its end what is wrong
        rounds[index] = record.round
        columns[:, index] = [number(record) for number in _COLUMNS.values()]
        slots = _slots(run, record, [a.slot for a in record.arrivals])
        after_s = np.array([a.after_s for a in record.arrivals])
        arrived[slots] += 1
        stragglers = _slots(run, record, record.stragglers)
        straggled[stragglers] += 1
        took_part[index, slots] = took_part[index, stragglers] = True
        arrival_sum_s[slots] += after_s
        grid.add(index, slots, after_s)
        reasons[record.reason] += 1
        n_late += len(record.late)
        who.round_over(record)
        if record.metrics:
            evaluations.append(Evaluation(record.round, record.closed_s, record.metrics))
    return Series(
        run=run,
        rounds=rounds,
        **dict(zip(_COLUMNS, columns, strict=True)),
        evaluations=tuple(evaluations),
        arrived=arrived,
        straggled=straggled,
        took_part=took_part,
        arrival_sum_s=arrival_sum_s,
        grid=grid,
        reasons=reasons,
        n_late=n_late,
        stragglers=who,
    )


def _slots(run: Run, record: RoundRecord, named: Sequence[int]) -> IntArray:
    slots = np.array(named, dtype=np.int64)
    strange = slots[(slots < 0) | (slots >= run.settings.coding.workers)]
    if strange.size:
        raise DataError(
            f"run {run.path} is damaged: round {record.round} names slot {strange[0]}, but there"
            f" are {run.settings.coding.workers} (from 0)"
        )
    return slots
