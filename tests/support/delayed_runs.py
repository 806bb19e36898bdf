"""Runs whose arrivals follow from a delay model and the scheme's own rule, plus known overhead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.records import RoundRecord, RunStart, RunSummary
from erasurehead.runs import Run, RunWriter
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.machine.rounds import Rounds

OVERHEAD_S = 0.004
"""Seconds of each round beyond its ideal."""


def write_delayed_run(
    directory: Path,
    scheme: str = "agc:c=3,r=4",
    rounds: int = 20,
    workers: int = 12,
    model: str = "logistic",
    metric: str = "auc",
    **settings: Any,
) -> Run:
    """Write a run of exponential delays (mean 0.5 s, seed 0), evaluated after each round."""
    given = {"store": "stores/tiny", "scheme": scheme, "workers": workers, "rounds": rounds}
    given |= {"delay": "exponential:mean_s=0.5", **settings}
    chosen = load(RunSettings, given, environment={})
    coding = chosen.fitted()
    delays = chosen.delays()
    played = Rounds(coding.begin())
    start = RunStart(
        run="abc",
        scheme=scheme,
        n_workers=workers,
        n_tasks=coding.code.n_tasks,
        columns=3,
        training_rows=1000,
        rounds=rounds,
        first_round=1,
        loads=tuple(coding.code.loads.tolist()),
        model=model,
        step="constant:eta=1.0",
        ready_s=0.25,
    )
    now = 0.0
    metrics: dict[str, float] = {}
    with RunWriter(directory, chosen) as writer:
        writer.started(start)
        for t in range(1, rounds + 1):
            delays_s = delays.delays_s(t, coding.code.loads / coding.code.n_tasks)
            played.open(0.0, range(workers))
            for slot in np.argsort(delays_s).tolist():
                if played.closed is None:
                    played.arrive(slot, 0, float(delays_s[slot]))
            reason, arrivals = str(played.closed), tuple(played.arrivals)
            decoding, stragglers = played.close()
            wait_s = played.elapsed_s
            metrics = {metric: 0.9 - 0.4 * 0.8**t}
            writer.round_over(
                RoundRecord(
                    round=t,
                    opened_s=now,
                    closed_s=now + wait_s + OVERHEAD_S,
                    reason=reason,
                    arrivals=arrivals,
                    stragglers=stragglers,
                    erased_tasks=decoding.erased_tasks,
                    decode_error=decoding.decode_error,
                    amplification=decoding.amplification,
                    gradient_norm=1.0,
                    step_size=1.0,
                    train_loss=0.1 + 0.6 * 0.9**t,
                    bytes_out=1000,
                    bytes_in=500,
                    encode_s=OVERHEAD_S / 4,
                    wait_s=wait_s,
                    decode_s=OVERHEAD_S / 4,
                    step_s=OVERHEAD_S / 2,
                    metrics=metrics,
                )
            )
            now += wait_s + OVERHEAD_S
        writer.model(np.zeros(3), start, rounds)
        writer.finished(RunSummary(f"all {rounds} rounds done", 0, rounds, now, now, 0.0, metrics))
    return Run.open(directory)
