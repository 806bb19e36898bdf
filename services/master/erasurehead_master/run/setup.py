"""From a plan to the things that do its arithmetic."""

from __future__ import annotations

from functools import partial

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.estimating.base import GradientEstimate
from erasurehead.finishing.text import build_condition
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.choosing import choose
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead.optimizing.making import make_method
from erasurehead.parts import InParts, at_once
from erasurehead.rows import CsrRows
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.round_kinds import kind_of_rounds
from erasurehead_master.run.told import Told
from erasurehead_master.run.unit_curvatures import unit_curvatures
from erasurehead_master.run.waiting import check_fits


def make_descent(
    plan: RunPlan,
    rows: CsrRows,
    in_parts: InParts = at_once,
    column_squares: FloatArray | None = None,
) -> Descent:
    """Build what moves the model of a run.

    Parameters
    ----------
    rows: the training rows, for what an automatic step and some methods must know of the data. No
        rows will do to see whether the settings of the plan fit together.
    in_parts: how long sums are formed.
    column_squares: of the rows (`CsrRows.column_squares`), where they are known already.

    Raises
    ------
    UsageError: an unknown optimizer, step size or option, or a value out of range; or the optimizer
        does not go with the scheme.
    """
    settings = plan.settings
    rng = np.random.default_rng((settings.run.seed, 0x57A7))
    curvature = RowsCurvature(plan.model, rows, settings.run.seed, column_squares=column_squares)
    penalty = plan.penalty
    estimate = plan.coding.estimate(plan.n_parameters)
    kind = partial(_kind, rows=rows)
    rounds = kind(plan, estimate)
    start = plan.model.start(rng) if plan.begins_with is None else plan.begins_with.copy()
    problem = Problem(start, penalty, curvature, rounds)
    optimizer, step = settings.descent.optimizer, settings.descent.step
    chosen = choose(optimizer, step, rounds, bounded=curvature.bounded, smooth=penalty.smooth)
    method, size = make_method(chosen.optimizer, step, problem)
    check_fits(method, estimate, chosen, plan.coding, settings.descent.batch)
    format = plan.vector_format

    def as_received(point: FloatArray) -> FloatArray:
        # No random number has a say in what such a format makes of a value.
        packed = format.pack(point.copy(), rng)
        return np.asarray(format.unpack(packed), dtype=np.float64)

    conditions = map(build_condition, settings.descent.until)
    return Descent(
        method,
        size,
        estimate,
        plan.total_weight,
        in_parts,
        as_received if format.value_by_value else None,
        chosen,
        kind,
        told=None if plan.differences is None else Told(plan.differences, plan.n_parameters, rng),
        from_start=plan.begins_with is None,
        with_slope=any(condition.needs_slope for condition in conditions),
        column_spread=lambda: curvature.spread,
    )


def _kind(plan: RunPlan, estimate: GradientEstimate, rows: CsrRows) -> RoundKind:
    memory = estimate.memory
    if memory is None or not len(rows.labels) or not plan.model.bounded:
        return kind_of_rounds(plan.coding, estimate, whole=plan.whole)
    curvatures = partial(unit_curvatures, plan, memory.units, rows)
    return kind_of_rounds(plan.coding, estimate, curvatures, whole=plan.whole)
