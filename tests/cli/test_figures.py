"""Figures are drawn from records, whatever the records hold."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from erasurehead_cli.console import recorded_run
from erasurehead_cli.results import figures
from erasurehead_cli.results.comparison import compare_runs
from tests.support.played_runs import MakeRun, make_record


def assert_png(path: Path) -> None:
    """A PNG of a sensible size that is not one flat colour."""
    held = path.read_bytes()
    assert held.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", held[16:24])
    assert width > 600
    assert height > 400
    from matplotlib.image import imread

    assert imread(path).std() > 0.01


def test_a_comparison_has_its_three_figures(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [
        make_run("uncoded", 2.0),
        make_run("egc:c=2", 0.5),
        make_run("agc:c=2,r=2", 0.2, [0.5, 0.6]),
    ]
    drawn = figures.comparison_figures(compare_runs(runs), tmp_path)
    assert [path.name for path in drawn] == ["metric-time.png", "round-times.png", "speedup.png"]
    for path in drawn:
        assert_png(path)


def test_names_of_schemes_do_not_run_into_each_other(make_run: MakeRun, tmp_path: Path) -> None:
    """The demo's schemes: one of three words, and an axis that is named after it."""
    named = ("uncoded with gradient-descent", "uncoded", "egc:c=3", "cached")
    played = compare_runs([make_run(f"agc:c=2,r={n + 1}", 0.1) for n in range(len(named))])
    outcomes = tuple(replace(o, scheme=n) for o, n in zip(played.outcomes, named, strict=True))
    comparison = replace(played, outcomes=outcomes, baseline=named[0])
    kept: list[Any] = []

    def fill(figure: Any) -> None:
        figures._speedups(comparison, figure)
        kept.append(figure)

    figures.draw_figure(tmp_path / "speedup.png", (6.4, 4.0), fill)
    kept[0].canvas.draw()
    (axes,) = kept[0].axes
    places = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 + 4 < right.x0 for left, right in pairwise(places))
    named_axis = axes.yaxis.label.get_window_extent()
    assert named_axis.height < 0.9 * axes.get_window_extent().height


@pytest.mark.parametrize("n_schemes", [1, 9])
def test_any_number_of_schemes(make_run: MakeRun, tmp_path: Path, n_schemes: int) -> None:
    runs = [make_run(f"agc:c=2,r={n + 1}", 0.01) for n in range(n_schemes)]
    for path in figures.comparison_figures(compare_runs(runs), tmp_path):
        assert_png(path)


def test_without_evaluations_there_is_no_metric_figure(make_run: MakeRun, tmp_path: Path) -> None:
    comparison = compare_runs([make_run(metric=None)])
    drawn = figures.comparison_figures(comparison, tmp_path)
    assert [path.name for path in drawn] == ["round-times.png", "speedup.png"]


@pytest.mark.parametrize("metrics", [{"auc": 0.7}, {"something": 3.0}, {}])
def test_a_run_has_its_two_figures(tmp_path: Path, metrics: dict[str, float]) -> None:
    records = [make_record(n, metrics=metrics) for n in range(1, 6)]
    drawn = figures.run_figures(records, "uncoded", tmp_path)
    assert [path.name for path in drawn] == ["learning.png", "rounds.png"]
    for path in drawn:
        assert_png(path)


def test_without_matplotlib_a_sentence_takes_their_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not figures.available()
    drawn = recorded_run.draw_figures(lambda: figures.run_figures([make_record(1)], "x", tmp_path))
    assert drawn == []
    assert recorded_run.figure_lines(drawn) == [figures.MISSING]
    assert "pip install" in figures.MISSING


def test_colours_are_told_apart() -> None:
    assert len(set(figures.COLOURS)) == len(figures.COLOURS) == len(figures.MARKERS)
