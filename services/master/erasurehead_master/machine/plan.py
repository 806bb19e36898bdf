"""Everything about a run that is fixed before the first worker is greeted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.base import GradientCode
from erasurehead.datasets.tasks import task_ranges
from erasurehead.models.base import Model
from erasurehead.optimizing.elastic_net import make_penalty
from erasurehead.optimizing.penalty import Penalty
from erasurehead.records import RunStart
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import tidied
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.messages import Assign
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.automatic import automatic_format
from erasurehead.wire.vectors.base import VectorFormat
from erasurehead.wire.vectors.f4 import F4


@dataclass(frozen=True, eq=False)
class RunPlan:
    """Coding, model and sizes of one run, and what each slot is told.

    Attributes
    ----------
    run: a fresh id, or that of the run that is resumed.
    coding: the scheme, fitted to the workers there are.
    total_weight: what the training rows count for together, by which sums are divided.
    ranges: first and past-the-end training row of each task, shape (n, 2).
    data_reference: where workers may read the store themselves; None: rows are streamed.
    chunk_rows: rows in one streamed chunk.
    begins_with: the parameters of the first round, shape (n_parameters,); None: the model's start.
    differences_spec: how models travel as differences, as workers are told it; None: they are
        always whole.
    """

    run: str
    settings: RunSettings
    coding: Coding
    model: Model
    training_rows: int
    total_weight: float
    digest: str
    meaning: str
    ranges: IntArray
    data_reference: str | None
    chunk_rows: int
    begins_with: FloatArray | None = None
    differences_spec: str | None = None

    @property
    def code(self) -> GradientCode:
        """Which slot computes what."""
        return self.coding.code

    @property
    def n_parameters(self) -> int:
        """Length of the model's vector of parameters."""
        return self.model.n_parameters

    @property
    def l2(self) -> float:
        """Weight of the penalty."""
        return self.settings.problem.l2_weight(self.training_rows)

    @property
    def penalty(self) -> Penalty:
        """What is added to the mean loss."""
        return make_penalty(self.settings.problem.l1, self.l2, self.model.unpenalised)

    @property
    def n_parts(self) -> int:
        """Results a slot sends a round."""
        return self.code.n_parts

    @property
    def exact(self) -> bool:
        """True when every round is meant to decode the full gradient."""
        return self.coding.exact

    @property
    def whole(self) -> bool:
        """True when rounds use all rows of a task."""
        return self.settings.descent.batch == 1.0

    @property
    def format_spec(self) -> str:
        """How models and gradients travel, as workers are told it."""
        chosen = self.settings.wire.format
        if chosen != "auto":
            return chosen
        # Where models are rounded to so few digits, single precision of results is no loss.
        return automatic_format(self.coding.loses) if self.differences_spec is None else F4.name

    @cached_property
    def vector_format(self) -> VectorFormat:
        """How models and gradients travel."""
        return FORMATS.build(self.format_spec)

    @cached_property
    def differences(self) -> VectorFormat | None:
        """How models travel as differences; None: they are always whole."""
        spec = self.differences_spec
        return None if spec is None else FORMATS.build(spec)

    @property
    def frame_bytes(self) -> int:
        """Bytes of the largest frame of the run: a vector, or a support that is not yet dense."""
        n = self.n_parameters
        packed = self.vector_format.pack(np.ones(n), np.random.default_rng(0))
        support = int(self.settings.wire.dense_share * n) * np.dtype(np.int32).itemsize
        whole = 0 if self.differences_spec is None else n * np.dtype(np.float64).itemsize
        return max(support, whole, *(array.nbytes for array in packed.arrays))

    @cached_property
    def _tasks(self) -> dict[int, IntArray]:
        return {}

    def start(self, optimizer: str, step: str, first_round: int, ready_s: float) -> RunStart:
        """Return what observers are told when the first round opens.

        There may be fewer workers, in an elastic run that is resumed, but never more.
        """
        return RunStart(
            run=self.run,
            scheme=tidied(self.settings.coding.scheme),
            n_workers=self.settings.coding.workers,
            n_tasks=self.code.n_tasks,
            columns=self.model.n_columns,
            training_rows=self.training_rows,
            rounds=self.settings.descent.rounds,
            first_round=first_round,
            loads=tuple(int(x) for x in self.code.loads),
            model=str(self.model.spec),
            step=step,
            ready_s=ready_s,
            meaning=self.meaning,
            l2=self.l2,
            l1=self.settings.problem.l1,
            optimizer=optimizer,
        )

    def resized(self, n_workers: int) -> RunPlan:
        """Return the plan of the same run for another number of workers.

        Raises
        ------
        UsageError: the scheme does not exist for so many.
        """
        coding = self.coding.resized(n_workers)
        ranges = deal_rows(self.training_rows, coding.code.n_tasks, self.settings.run.seed)
        return replace(self, coding=coding, ranges=ranges)

    def placed_by(self, probabilities: FloatArray) -> RunPlan:
        """Return the plan of the same run with tasks placed by other straggler probabilities.

        Slots, tasks and their rows stay what they are.

        Raises
        ------
        UsageError: the scheme does not exist for them.
        """
        return replace(self, coding=self.coding.placed_by(probabilities))

    def tasks_of(self, slot: int) -> IntArray:
        """Return the tasks a slot holds, ascending."""
        if slot not in self._tasks:
            self._tasks[slot] = self.code.tasks_of(slot)
        return self._tasks[slot]

    def n_chunks(self, task: int) -> int:
        """Chunks in which the rows of a task are streamed."""
        lo, hi = self.ranges[task]
        return max(1, -(-int(hi - lo) // self.chunk_rows))

    def chunk_range(self, task: int, chunk: int) -> tuple[int, int]:
        """Return the first and the past-the-end training row of a chunk of a task."""
        lo, hi = (int(x) for x in self.ranges[task])
        first = lo + chunk * self.chunk_rows
        return first, min(first + self.chunk_rows, hi)

    def assign(self, slot: int, epoch: int) -> Assign:
        """Return what the worker in `slot` is told."""
        code, settings = self.code, self.settings
        tasks = self.tasks_of(slot)
        coefficients = np.zeros((code.n_parts, code.n_vectors, len(tasks)))
        for part in range(code.n_parts):
            for vector, symbol in enumerate(code.symbols(slot, part)):
                held, values = code.row(symbol)
                coefficients[part, vector, np.searchsorted(tasks, held)] = values
        return Assign(
            run=self.run,
            epoch=epoch,
            slot=slot,
            n_slots=code.n_workers,
            columns=self.model.n_columns,
            n_parameters=self.model.n_parameters,
            tasks=tasks,
            row_ranges=self.ranges[tasks],
            coefficients=coefficients,
            model=str(self.model.spec),
            store=self.data_reference,
            digest=self.digest,
            batch=settings.descent.batch,
            batch_seed=settings.run.seed,
            vector_format=self.format_spec,
            differences=self.differences_spec,
            delay=settings.straggling.delay,
            delay_seed=settings.run.seed,
            load_share=len(tasks) / code.n_tasks,
            delay_shares=code.delay_shares,
            heartbeat_interval_s=settings.membership.heartbeat_interval_s,
            silence_limit_s=settings.membership.silence_limit_s,
            dense_share=settings.wire.dense_share,
            max_frame_bytes=settings.wire.max_frame_bytes,
        )


def deal_rows(n_rows: int, n_tasks: int, seed: int) -> IntArray:
    """Return the row range of each task, shape (n, 2).

    Row blocks are dealt to tasks in a seeded order, so that no code meets an order that happens to
    be in the data.

    Raises
    ------
    UsageError: more tasks than rows.
    """
    ranges = np.array(task_ranges(n_rows, n_tasks), dtype=np.int64)
    return ranges[np.random.default_rng((seed, 0x7A5C)).permutation(n_tasks)]
