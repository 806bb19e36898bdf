"""From settings and a store to the plan of a run: what does not fit is refused here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from erasurehead.coding.amplification import likely_worst
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, UsageError
from erasurehead.models import MODELS, default_model, specified
from erasurehead.models.base import Model
from erasurehead.models.weighing import total_weight, weights_of
from erasurehead.rows import Target
from erasurehead.schemes.coding import Coding
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.sizes import MAX_FRAME_BYTES
from erasurehead.wire.vectors.f8 import F8
from erasurehead.wire.vectors.f12 import F12
from erasurehead_master.machine.plan import RunPlan, deal_rows
from erasurehead_master.run.finishing import make_finishing
from erasurehead_master.run.setup import make_descent
from erasurehead_master.run.waiting import overdue_units

MOST_ROUNDING = 1e-3
"""Of a gradient: an exact scheme whose rounding may be larger does not keep its word."""


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """A run that was checked and not begun: its plan, and the rows that it runs on."""

    plan: RunPlan
    store: Store

    @classmethod
    def of(cls, settings: RunSettings, store: Store, data_reference: str | None) -> PlannedRun:
        """Plan a run, and see that its optimizer and its conditions fit, too.

        Raises
        ------
        UsageError, DataError: as `make_plan`, `make_descent` and `make_finishing`.
        """
        plan = make_plan(settings, store, data_reference)
        descent = make_descent(plan, store.train.rows(0, 0))
        make_finishing(plan, descent, rated=bool(store.manifest.test_rows))
        return cls(plan, store)

    def recorded_in(self, directory: Path) -> PlannedRun:
        """Return the same run with another directory for what it leaves."""
        settings = self.plan.settings.changed(run={"out": directory})
        return replace(self, plan=replace(self.plan, settings=settings))


def make_plan(
    settings: RunSettings,
    store: Store,
    data_reference: str | None,
    coding: Coding | None = None,
) -> RunPlan:
    """Check the settings against the store and each other, and fix the run.

    Parameters
    ----------
    data_reference: where workers may read the store themselves; None: rows are streamed.
    coding: what to run in place of the settings' own scheme.

    Raises
    ------
    UsageError: an impossible combination, in one sentence that names both sides.
    DataError: the store is damaged, or its labels do not suit the model.
    """
    store.check_rows()
    model = _model(settings, store)
    total = total_weight(model, store.train)
    if store.manifest.rows and not total > 0:
        raise DataError(
            f"the {store.manifest.rows:,} training rows of {store.path} all have the weight 0; give"
            " one at least a weight above 0"
        )
    if store.manifest.rows:
        _check_minimum(model, store)
    coding = coding or settings.fitted()
    settings.delays()  # workers will build them; a value out of range is refused here
    rows = store.manifest.rows
    bytes_per_row = max(1, 12 * store.manifest.nnz // max(rows, 1) + 16)
    plan = RunPlan(
        run=secrets.token_hex(6),
        settings=settings,
        coding=coding,
        model=model,
        training_rows=rows,
        total_weight=total,
        digest=store.digest,
        meaning=store.manifest.meaning,
        ranges=deal_rows(rows, coding.code.n_tasks, settings.run.seed),
        data_reference=data_reference,
        chunk_rows=max(1, settings.wire.chunk_bytes // bytes_per_row),
        differences_spec=differences_of(settings, coding),
    )
    _check_frames(plan)
    _check_rounding(plan)
    _check_differences(plan)
    return plan


def differences_of(settings: RunSettings, coding: Coding) -> str | None:
    """Return the format in which models travel as differences; None: they are always whole.

    Workers have a point then that is a little off the query of the method. A method that follows
    units is told of it, so that nothing is lost; others would take one for the other.
    """
    chosen = settings.wire.differences
    if chosen != "auto":
        return None if chosen == "none" else chosen
    if coding.exact or not coding.remembers:
        return None
    return F12.name if overdue_units(settings, coding) is not None else None


def _check_frames(plan: RunPlan) -> None:
    """See that the run's own messages are let through; otherwise no round would ever close."""
    most = plan.settings.wire.max_frame_bytes
    if plan.frame_bytes > most:
        raise UsageError(
            f"a result of {plan.n_parameters} parameters in vector format {plan.format_spec} has a"
            f" frame of {plan.frame_bytes} bytes, and wire.max_frame_bytes refuses more than"
            f" {most}; raise it (to {MAX_FRAME_BYTES} at most) or choose a shorter wire.format"
        )


def _check_rounding(plan: RunPlan) -> None:
    """See that rounding leaves an exact scheme exact, and a cache without a floor."""
    rounding, shorter = plan.vector_format.relative_error, plan.format_spec
    if plan.exact and rounding:
        error = rounding * likely_worst(plan.code)
        if error > MOST_ROUNDING:
            raise UsageError(
                f"vector format {shorter} and code '{plan.code.name}' may round a gradient to"
                f" {error:.0e} of its size, which is not exact; use --wire-format f8, or a code of"
                f" plain sums such as frc:c={plan.code.tolerance + 1} with f4 or f2"
            )
    if plan.coding.remembers and rounding > MOST_ROUNDING and not plan.vector_format.feedback:
        raise UsageError(
            f"vector format {shorter} rounds every vector to {rounding:.0e} of its size without"
            f" feedback, which stays in what scheme '{plan.settings.coding.scheme}' remembers; use"
            " --wire-format q8, f2, f4 or f8"
        )


def _check_differences(plan: RunPlan) -> None:
    """See that models travel as differences only where they may."""
    name, format = plan.differences_spec, plan.differences
    if format is None:
        return
    if plan.exact:
        raise UsageError(
            f"wire.differences {name} lets workers have a model that is a little off the"
            f" optimizer's, and scheme '{plan.settings.coding.scheme}' promises its exact gradient;"
            " use --wire-differences none"
        )
    if not format.divisible or format.name == F8.name:
        raise UsageError(
            f"vector format {name} cannot carry differences between models, as all workers must be"
            " told parts of the same one; use --wire-differences f12, f1, f2 or f4"
        )


def _model(settings: RunSettings, store: Store) -> Model:
    """Return the model, unless the store's labels mean something else."""
    target = store.manifest.target
    name = settings.problem.model or default_model(target)
    n_classes = len(store.manifest.classes) if target == "classes" else 0
    spec = specified(name, settings.problem.intercept, n_classes, store.manifest.row_shape)
    model = MODELS.build(spec, store.manifest.columns, np.asarray(store.train.labels))
    refusals = [model.refusal(labels) for labels in (store.train.labels, store.test.labels)]
    for refusal in filter(None, refusals):
        raise DataError(
            f"the labels of {store.path}, prepared as {target}, do not suit the model {name}:"
            f" {refusal}; {_instead(target, model)}"
        )
    if store.train.weights is not None:
        model.count_rows(np.asarray(store.train.labels), np.asarray(store.train.weights))
    if store.train.offsets is not None and not model.takes_offsets:
        raise DataError(
            f"{store.path} has offsets, and the model {name} takes none; prepare the data without"
            " an offset"
        )
    return model


def _check_minimum(model: Model, store: Store) -> None:
    """See that intercepts, which no penalty holds, are held by rows that count for something."""
    labels, weights = np.asarray(store.train.labels), weights_of(model, store.train)
    counted = labels if weights is None else labels[weights > 0]
    lacking = model.lacks(counted, store.manifest.classes)
    if lacking is not None:
        counts = "" if weights is None else " that counts"
        raise DataError(
            f"no training row of {store.path}{counts} {lacking}, so nothing holds an intercept"
            " back; give such rows, or leave the intercept out"
        )


def _instead(target: Target, model: Model) -> str:
    """Return what to do about labels that do not suit a model."""
    suitable = default_model(target)
    if suitable == model.name:
        return "prepare the data for it"
    return f"take --model {suitable}, or prepare the data for {model.name}"
