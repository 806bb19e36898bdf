"""Runs under a virtual clock on a few made-up rows."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from erasurehead.datasets.tasks import task_ranges
from erasurehead.models import MODELS, specified
from erasurehead.models.weighing import total_weight
from erasurehead.rows import CsrRows
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.planning import differences_of
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing

ROWS, COLUMNS = 60, 8


def some_rows(seed: int = 0) -> CsrRows:
    """Return rows with three ones each and labels that a linear model can nearly explain."""
    rng = np.random.default_rng(seed)
    indices = np.stack([rng.permutation(COLUMNS)[:3] for _ in range(ROWS)]).astype(np.int32)
    planted = rng.standard_normal(COLUMNS)
    labels = planted[indices].sum(axis=1) + 0.1 * rng.standard_normal(ROWS)
    return CsrRows(
        indptr=np.arange(0, 3 * ROWS + 1, 3),
        indices=indices.ravel(),
        values=None,
        labels=labels,
        n_columns=COLUMNS,
    )


def make_virtual(
    rows: CsrRows, timing: Timing | None = None, *, checked: bool = True, **settings: Any
) -> VirtualCluster:
    """Return a virtual cluster without workers, which checks all invariants after every event."""
    machine, descent = make_master(rows, **settings)
    return VirtualCluster(
        machine, descent, RealArithmetic(rows), timing or Timing(), checked=checked
    )


def make_master(rows: CsrRows, **settings: Any) -> tuple[Master, Descent]:
    """Return the machine and the descent of a fresh run."""
    plain = {"store": "made-up", "step": "0.5", "l2": 0.0, "until": "none"}
    chosen: RunSettings = load(RunSettings, {**plain, **settings}, environment={})
    coding = chosen.fitted()
    name = chosen.problem.model or "least-squares"
    spec = specified(name, chosen.problem.intercept)
    model = MODELS.build(spec, rows.n_columns, rows.labels)
    plan = RunPlan(
        run=secrets.token_hex(4),
        settings=chosen,
        coding=coding,
        model=model,
        training_rows=len(rows.labels),
        total_weight=total_weight(model, rows),
        digest="made-up",
        meaning="",
        ranges=np.array(task_ranges(len(rows.labels), coding.code.n_tasks)),
        data_reference=None,
        chunk_rows=7,
        differences_spec=differences_of(chosen, coding),
    )
    return Master(plan, 0.0), make_descent(plan, rows)
