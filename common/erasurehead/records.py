"""What is known of a round once it is over: one immutable record feeds every observer.

The console line, ``rounds.jsonl``, the metrics and the report are all views of this record, so
nothing is counted twice.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["debug", "info", "warning", "error"]
"""How much a notice matters."""


# Not frozen: one is made of every result, and freezing trebles what that costs.
@dataclass(slots=True)
class Arrival:
    """A result of the current round, `after_s` seconds after the round opened."""

    slot: int
    after_s: float
    compute_s: float = 0.0
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Late:
    """A result of an earlier round, heard `after_s` seconds after *that* round opened."""

    slot: int
    round: int
    after_s: float


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round, from opening to the method's step.

    Times ``*_s`` named opened/closed count from the start of the run on one monotonic clock.
    `train_loss` is the regularised mean loss at the point that was broadcast, estimated from the
    survivors' margins; `metrics` are those of the model after this round's step, when evaluated,
    and `gap` is how much of the way to the minimum is left after it, by the method's estimate; NaN:
    unknown.
    `load_shares` is the share of all tasks that each slot holds; it is told in the first round of a
    process, and of a code that took another's place. `workers` says what the worker of each slot is
    called ("": there is none); it is told in the first round of a process, and when it has changed.
    """

    round: int
    opened_s: float
    closed_s: float
    reason: str
    arrivals: tuple[Arrival, ...]
    stragglers: tuple[int, ...]
    erased_tasks: int
    decode_error: float
    amplification: float
    gradient_norm: float
    step_size: float
    train_loss: float
    bytes_out: int
    bytes_in: int
    encode_s: float
    wait_s: float
    decode_s: float
    step_s: float
    late: tuple[Late, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    load_shares: tuple[float, ...] = ()
    gap: float = math.nan
    workers: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds from opening to the end of the method's step."""
        return self.closed_s - self.opened_s

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain lists and numbers, in the order of the fields."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known when the first round opens."""

    run: str
    scheme: str
    n_workers: int
    n_tasks: int
    columns: int
    """Of the store."""
    training_rows: int
    rounds: int
    first_round: int
    loads: tuple[int, ...]
    model: str
    """Its name, with options."""
    step: str
    ready_s: float
    """Seconds from the start of the process's work until the first round could open."""
    meaning: str = ""
    """A digest of what the columns stand for (`Manifest.meaning`)."""
    l2: float = math.nan
    """Weight of the penalty; NaN: the run's version did not tell it."""
    optimizer: str = ""
    """Its name, with options; empty: the run's version did not tell it."""
    l1: float = 0.0
    """Weight of the L1 norm."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended.

    `wall_s` is the wall clock from the first round's opening to the end, nothing left out;
    `rounds_s` the sum of the rounds alone; `evaluation_s` the time evaluations kept the master
    busy while no round was open. `metrics` are those of the model that the run leaves; `met` is the
    condition of `--until` that ended it, if one did. `gap` is the last round's, and `verdict` says
    in a sentence whether the run has converged.
    """

    reason: str
    exit_code: int
    rounds: int
    wall_s: float
    rounds_s: float
    evaluation_s: float
    metrics: dict[str, float] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    cpu_s: float = 0.0
    met: str = ""
    gap: float = math.nan
    verdict: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return dataclasses.asdict(self)


class Observer:
    """Something that watches a run. All methods do nothing unless overridden.

    They are called on the master's own thread between messages, so they must be quick.
    """

    def started(self, start: RunStart) -> None:
        """The first round is about to open."""

    def moved(self, round_: int, model: Callable[[], Any]) -> str | None:
        """The method has stepped in a round; return why the run should end here, or None.

        The next round opens when all observers have returned. `model` returns the parameters after
        the step, shape (n_parameters,), which must be copied to be kept.
        """

    def round_over(self, record: RoundRecord) -> None:
        """A round's record is complete; records come in order."""

    def checkpointed(self, round_: int, kept: bool) -> None:
        """A checkpoint of the model after `round_` was written, or (not `kept`) could not be."""

    def notice(self, level: Level, text: str) -> None:
        """Something worth telling happened."""

    def model(self, theta: Any, start: RunStart, rounds: int) -> None:
        """The model after the last round, shape (n_parameters,), before `finished`."""

    def finished(self, summary: RunSummary) -> None:
        """The run is over."""
