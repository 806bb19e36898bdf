"""How the rows of each unit of a code curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.estimating.units import Units
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

    def of_task(task: int) -> FloatArray:
        part = rows.rows(*plan.ranges[task])
        squares = part.column_squares(weights_of(plan.model, part))
        return plan.model.curvature_diagonal(squares, total_weight(plan.model, part))

    def found() -> Iterator[UnitCurvature]:
        for unit, weight in enumerate(units.weights):
            total = np.zeros(plan.n_parameters)
            if unit in symbols:
                for task, coefficient in zip(*plan.code.row(symbols[unit]), strict=True):
                    total += coefficient * of_task(int(task))
            support = np.flatnonzero(total)
            total *= weight / plan.total_weight
            whole = len(support) == plan.n_parameters
            yield UnitCurvature(None, total) if whole else UnitCurvature(support, total[support])

    return list(found())
