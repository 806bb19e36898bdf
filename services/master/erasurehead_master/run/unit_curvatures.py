"""How the rows of each unit of a code curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from erasurehead.estimating.units import Units
from erasurehead.models.base import Model
from erasurehead.models.weighing import total_weight, weights_of
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead.rows import CsrRows
from erasurehead_master.machine.plan import RunPlan


def unit_curvatures(plan: RunPlan, units: Units, rows: CsrRows) -> Sequence[UnitCurvature]:
    """Return the curvature of each unit; that reads the rows once for each unit that has them.

    Parameters
    ----------
    units: of the plan's code.
    rows: all training rows.
    """
    symbols = {unit: symbol for symbol, unit in enumerate(units.of_symbol)}
    model = plan.model

    def found() -> Iterator[UnitCurvature]:
        for unit, weight in enumerate(units.weights):
            total, share = np.zeros(plan.n_parameters), 0.0
            if unit in symbols:
                for task, coefficient in zip(*plan.code.row(symbols[unit]), strict=True):
                    lo, hi = plan.ranges[int(task)]
                    part = rows.rows(lo, hi)
                    weighs = total_weight(model, part)
                    squares = part.column_squares(weights_of(model, part))
                    total += coefficient * model.curvature_diagonal(squares, weighs)
                    share += coefficient * weighs
            support = np.flatnonzero(total)
            total *= weight / plan.total_weight
            share *= weight / plan.total_weight
            whole = len(support) == plan.n_parameters
            yield UnitCurvature(
                None if whole else support,
                total if whole else total[support],
                partial(_left, model, share),
            )

    return list(found())


def _left(model: Model, share: float, loss: float) -> float:
    """Return what is left of a bound at a loss that rows of this share add to the mean loss."""
    return model.curvature_left(loss / share) if share > 0.0 else 1.0
