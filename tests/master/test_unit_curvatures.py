"""How units curve: together, as all rows do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from erasurehead.models import MODELS
from erasurehead.optimizing.curvature import RowsCurvature
from erasurehead_master.run.unit_curvatures import unit_curvatures
from tests.support.virtual_run import COLUMNS, make_master, some_rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "scheme",
    [
        "uncoded:r=3,cache=sag",
        "frc:c=3 / first-copy / fraction:r=2 / sag",
        "pairwise-balanced:d=2 / fixed / fraction:r=3 / sag",
    ],
)
def test_units_curve_together_as_all_rows_do(scheme: str, weighted: bool) -> None:
    """Weights of rows count, and once did not."""
    rows = some_rows()
    if weighted:
        weights = np.random.default_rng(1).uniform(0.1, 5.0, len(rows.labels))
        rows = replace(rows, weights=weights)
    machine, descent = make_master(rows, scheme=scheme, workers=6)
    assert descent.estimate.memory is not None
    total = np.zeros(COLUMNS)
    for of_unit in unit_curvatures(machine.plan, descent.estimate.memory.units, rows):
        assert of_unit.support is None or (np.diff(of_unit.support) > 0).all()
        of_unit.add_to(total, of_unit.values)
    model = MODELS.build("least-squares", COLUMNS, rows.labels)
    np.testing.assert_allclose(total, RowsCurvature(model, rows).by_parameter())


def test_a_group_curves_as_its_own_rows_do() -> None:
    rows = some_rows()
    scheme = "frc:c=3 / first-copy / fraction:r=2 / sag"
    machine, descent = make_master(rows, scheme=scheme, workers=6)
    assert descent.estimate.memory is not None
    units = descent.estimate.memory.units
    matrix = rows.matrix().toarray()
    for unit, of_unit in enumerate(unit_curvatures(machine.plan, units, rows)):
        tasks = machine.plan.code.tasks_of(min(units.slots[unit]))
        own = np.concatenate([matrix[lo:hi] for lo, hi in machine.plan.ranges[tasks]])
        expected = (own**2).sum(axis=0) / len(matrix)
        found = np.zeros(COLUMNS)
        of_unit.add_to(found, of_unit.values)
        np.testing.assert_array_equal(found > 0, expected > 0)
        np.testing.assert_allclose(found, expected)
