"""Runs made of records, written through the real RunWriter."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from erasurehead.records import Arrival, RoundRecord, RunStart, RunSummary
from erasurehead.runs import Run, RunWriter
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings

IMPROVING = (0.5, 0.6, 0.7, 0.75, 0.78, 0.79, 0.80, 0.805, 0.81, 0.812)
"""A metric after each of ten rounds."""


class MakeRun(Protocol):
    """What writes a run into a directory of its own and opens it, as `write_run` does."""

    def __call__(
        self,
        scheme: str = "uncoded",
        round_s: float = 1.0,
        values: Iterable[float] = IMPROVING,
        metric: str | None = "auc",
        **settings: str,
    ) -> Run: ...


def make_start(scheme: str = "uncoded", n_workers: int = 4, rounds: int = 10) -> RunStart:
    """A run of load 1 on a small store."""
    return RunStart(
        run="abc",
        scheme=scheme,
        n_workers=n_workers,
        n_tasks=n_workers,
        columns=3,
        training_rows=1000,
        rounds=rounds,
        first_round=1,
        loads=(1,) * n_workers,
        model="logistic",
        step="constant:eta=1.0",
        ready_s=0.25,
        l2=0.25,
    )


def make_record(
    round_: int,
    round_s: float = 1.0,
    n_workers: int = 4,
    slots: Iterable[int] = (0, 1, 2, 3),
    metrics: dict[str, float] | None = None,
    erased_tasks: int = 0,
) -> RoundRecord:
    """Round `round_` of a run whose rounds all take `round_s`, back to back."""
    slots = tuple(slots)
    return RoundRecord(
        round=round_,
        opened_s=(round_ - 1) * round_s,
        closed_s=round_ * round_s,
        reason="enough",
        arrivals=tuple(Arrival(slot, round_s / 2) for slot in slots),
        stragglers=tuple(set(range(n_workers)) - set(slots)),
        erased_tasks=erased_tasks,
        decode_error=erased_tasks / n_workers,
        amplification=1.0,
        gradient_norm=1.0,
        step_size=1.0,
        train_loss=0.7 / round_,
        bytes_out=1000,
        bytes_in=500,
        encode_s=0.0,
        wait_s=round_s,
        decode_s=0.0,
        step_s=0.0,
        metrics=metrics or {},
    )


def write_run(
    directory: Path,
    scheme: str = "uncoded",
    round_s: float = 1.0,
    values: Iterable[float] = IMPROVING,
    metric: str | None = "auc",
    **settings: str,
) -> Run:
    """Write a run whose rounds take `round_s`, evaluated after each round; open it."""
    curve = [{metric: value} if metric else {} for value in values]
    given = {"store": "stores/tiny", "scheme": scheme, "workers": 4, "rounds": len(curve)}
    chosen = load(RunSettings, {**given, **settings}, environment={})
    start = make_start(scheme, rounds=len(curve))
    total = round_s * len(curve)
    with RunWriter(directory, chosen) as writer:
        writer.started(start)
        for n, metrics in enumerate(curve, 1):
            writer.round_over(make_record(n, round_s, metrics=metrics))
        writer.model(np.array([0.5, -1.0, 0.0]), start, len(curve))
        writer.finished(
            RunSummary(
                reason="all rounds done",
                exit_code=0,
                rounds=len(curve),
                wall_s=total,
                rounds_s=total,
                evaluation_s=0.0,
                metrics=curve[-1],
            )
        )
    return Run.open(directory)
