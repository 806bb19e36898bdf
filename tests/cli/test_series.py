"""A run's records as columns, against the records themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from erasurehead.errors import DataError
from erasurehead.records import RoundRecord, RunSummary
from erasurehead.runs import Run, RunWriter
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.results.series import ArrivalGrid, read_series
from tests.support.delayed_runs import write_delayed_run
from tests.support.played_runs import MakeRun, make_record, make_start


def test_columns_hold_what_the_records_hold(tmp_path: Path) -> None:
    run = write_delayed_run(tmp_path / "run", rounds=15)
    series, records = read_series(run), run.records
    assert series.rounds.tolist() == list(range(1, 16))
    assert series.duration_s.tolist() == [r.duration_s for r in records]
    assert series.wait_s.tolist() == [r.wait_s for r in records]
    assert series.erased_tasks.tolist() == [r.erased_tasks for r in records]
    assert series.bytes_moved.tolist() == [1500.0] * 15
    assert [e.metrics for e in series.evaluations] == [r.metrics for r in records]
    assert series.metric_names == ["auc"]
    for slot in range(12):
        heard = [a.after_s for r in records for a in r.arrivals if a.slot == slot]
        assert series.arrived[slot] == len(heard)
        assert series.straggled[slot] == sum(slot in r.stragglers for r in records)
        assert series.arrival_sum_s[slot] == pytest.approx(sum(heard))
        for n, record in enumerate(records):
            after_s = {a.slot: a.after_s for a in record.arrivals}.get(slot, np.nan)
            assert series.grid.mean_s[slot, n] == pytest.approx(after_s, nan_ok=True)
            assert series.grid.share[slot, n] == (slot in {a.slot for a in record.arrivals})


def test_a_grid_shares_cells_when_there_are_too_many() -> None:
    """600 slots by 1000 rounds: 3 slots and 9 rounds a cell; the last cells are smaller."""
    grid = ArrivalGrid(600, 1000)
    assert (grid.slots_per_cell, grid.rounds_per_cell) == (3, 9)
    every = np.arange(600)
    for index in range(1000):
        # Only every second round brings anything, after as many seconds as its number.
        if index % 2 == 0:
            grid.add(index, every, np.full(600, float(index)))
    assert grid.share.shape == (200, 112)
    assert grid.share[0, 0] == pytest.approx(5 / 9)
    assert grid.share[-1, -1] == pytest.approx(0 / 1)
    assert grid.mean_s[7, 0] == pytest.approx(np.mean([0, 2, 4, 6, 8]))
    assert np.isnan(grid.mean_s[7, -1])


@pytest.mark.parametrize(("slots", "rounds"), [(1, 1), (30, 100_000), (10_000, 3), (241, 7)])
def test_a_grid_is_never_large(slots: int, rounds: int) -> None:
    share = ArrivalGrid(slots, rounds).share
    assert 1 <= share.shape[0] <= 240
    assert share.size <= 24_240


def _write(directory: Path, *records: RoundRecord, rounds: int) -> Run:
    settings = load(RunSettings, {"store": "stores/tiny", "workers": 4}, environment={})
    with RunWriter(directory, settings) as writer:
        writer.started(make_start())
        for record in records:
            writer.round_over(record)
        writer.model(np.zeros(3), make_start(), rounds)
        writer.finished(RunSummary("interrupted", 130, rounds, 1.0, 1.0, 0.0))
    return Run.open(directory)


def test_a_run_without_rounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"closed no round \(interrupted\)"):
        read_series(_write(tmp_path / "run", rounds=0))


def test_an_unfinished_run_is_refused(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "summary.json").unlink()
    with pytest.raises(DataError, match="unfinished"):
        read_series(Run.open(run.path, allow_unfinished=True))


def test_a_slot_that_cannot_be_is_refused(tmp_path: Path) -> None:
    run = _write(tmp_path / "run", make_record(1, slots=[0, 4]), rounds=1)
    with pytest.raises(DataError, match=r"round 1 names slot 4, but there are 4"):
        read_series(run)


@pytest.mark.parametrize("n_records", [1, 3])
def test_a_wrong_number_of_rounds_is_refused(tmp_path: Path, n_records: int) -> None:
    records = [make_record(n) for n in range(1, n_records + 1)]
    with pytest.raises(DataError, match="damaged"):
        read_series(_write(tmp_path / "run", *records, rounds=2))
