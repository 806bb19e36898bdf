"""Runs in which anchored L-BFGS diverged as it was published in its study, and some of each kind.

Two things mend them: gradients are carried from their anchors to the mean anchor by each unit's own
curvature, and a run whose loss rises goes back.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield import_module("never_diverges")
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(
    ("data", "l2", "powers", "workers", "code", "arrivals", "manner"),
    [
        # It was 1e18 at the end.
        ("numbers", 1e-5, 3.0, 30, "frc:c=5", 3, "one unit 100 x slower"),
        # It was 4e9, and 2e3 by the units' own curvature alone.
        ("numbers", 0.0, 0.0, 30, "frc:c=3", 3, "one unit 100 x slower"),
    ],
)
def test_runs_that_diverged_go_down(
    benchmark: ModuleType,
    tmp_path: Path,
    data: str,
    l2: float,
    powers: float,
    workers: int,
    code: str,
    arrivals: int,
    manner: str,
) -> None:
    case = benchmark.Case(0, data, l2, powers, workers, code, arrivals, manner, 1.0, 34)
    outcome = benchmark.Workshop(tmp_path, benchmark.MADE_UP).run(case, 100)
    assert not outcome.failed
    assert outcome.values[-1] < 0.25 * outcome.start


def test_some_of_each_kind_end_below_their_start(benchmark: ModuleType) -> None:
    kinds = len(benchmark.MADE_UP)
    outcomes = benchmark.run_all([], runs=kinds, rounds=30, rows=0, seed=7)
    assert len(outcomes) == kinds
    assert not [str(outcome.case) for outcome in outcomes if outcome.failed]


def test_a_run_that_ends_above_its_start_is_told(benchmark: ModuleType) -> None:
    case = benchmark.Case(3, "digits", 0.0, 0.0, 12, "uncoded", 3, "churn", 1.0, 3)
    good = benchmark.Outcome(case, 1.0, [0.5, 0.2])
    bad = benchmark.Outcome(case, 1.0, [0.5, 1.1])
    assert (good.failed, bad.failed) == (False, True)
    text = benchmark.report([good, bad], 2)
    assert "1 diverged or ended above their start" in text
    assert text.index("above its start") < text.index("| - |")
