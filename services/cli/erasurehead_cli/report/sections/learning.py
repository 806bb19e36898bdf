"""How well the model did: metric and training loss, against time and against rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead_cli.report import axes
from erasurehead_cli.report.lines import Line, line_chart
from erasurehead_cli.report.markup import disclosure, figure, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.results.comparison import Outcome
from erasurehead_cli.results.number_format import seconds
from erasurehead_cli.results.series import FloatArray

WIDE = 50.0
"""Ratio of first to last loss above which an axis of losses is logarithmic."""

TABLE_ROWS = 12
"""Rows a run in the table beside a line chart."""


@dataclass(frozen=True, eq=False)
class _Curves:
    """A value of each run at some instants.

    Attributes
    ----------
    ident, caption: of the figures.
    y: the axis of the values.
    values, times_s, rounds: an array for each run, each of shape (instants,).
    """

    ident: str
    caption: str
    y: axes.Axis
    values: list[FloatArray]
    times_s: list[FloatArray]
    rounds: list[FloatArray]


def learning(material: Material) -> str:
    """Metric against time and rounds; training loss and estimated gap against both."""
    drawn = ""
    if material.comparison.metric is not None:
        drawn += _metric_charts(material)
    drawn += _loss_charts(material)
    if any(np.isfinite(series.gap).any() for series in material.every):
        drawn += _gap_charts(material)
    return section("learning", "Learning", f'<div class="pair">{drawn}</div>')


def _metric_charts(material: Material) -> str:
    outcomes, name = material.comparison.outcomes, material.metric_name
    curves = [np.array(outcome.curve) for outcome in outcomes]
    target = material.comparison.target
    level = [] if target is None else [np.array([target])]
    y = axes.fit(
        name, curves + level, log_above=math.inf if material.comparison.higher_is_better else WIDE
    )
    said = "; ".join(
        f"{label}: {curve[0]:.4g} to {curve[-1]:.4g} in {seconds(outcome.curve_s[-1])}"
        for label, curve, outcome in zip(material.labels, curves, outcomes, strict=True)
        if len(curve)
    )
    note = "" if target is None else f"dotted: the target, {target:.4f}"
    shown = table(
        _curve_columns(material.labels, outcomes, name), f"{name} at evaluations", names=2
    )
    return _figures(
        material,
        _Curves(
            "metric",
            f"{name[0].upper()}{name[1:]}",
            y,
            curves,
            [np.array(o.curve_s) for o in outcomes],
            [np.array(o.curve_rounds, dtype=float) for o in outcomes],
        ),
        said,
        note,
        target,
        disclosure("As a table", shown),
    )


def _loss_charts(material: Material) -> str:
    return _charts(
        material,
        ("loss", "Training loss", "training loss"),
        [series.train_loss for series in material.every],
        "as estimated from the survivors, before each step",
    )


def _gap_charts(material: Material) -> str:
    return _charts(
        material,
        ("gap", "Gap to the minimum", "gap to the minimum"),
        [series.gap for series in material.every],
        "share of the way from the first model that is left, as the method estimates it",
    )


def _charts(
    material: Material, names: tuple[str, str, str], values: list[FloatArray], note: str
) -> str:
    """A value of each round against time and rounds; `names` are for ids, captions and the axis."""
    ident, caption, name = names
    y = axes.fit(name, values, log_above=WIDE)
    said = "; ".join(
        f"{label}: {known[0]:.4g} to {known[-1]:.4g}" if len(known) else f"{label}: unknown"
        for label, known in zip(
            material.labels, (each[np.isfinite(each)] for each in values), strict=True
        )
    )
    times_s = [series.closed_s for series in material.every]
    rounds = [series.rounds.astype(float) for series in material.every]
    return _figures(material, _Curves(ident, caption, y, values, times_s, rounds), said, note)


def _figures(
    material: Material,
    curves: _Curves,
    said: str,
    note: str,
    target: float | None = None,
    below: str = "",
) -> str:
    """Draw a value of each run against time, with what stands `below`, and against rounds."""
    drawn = ""
    for kind, x, places, under in (
        ("time", _clock(curves.times_s), curves.times_s, below),
        ("rounds", material.rounds_axis, curves.rounds, ""),
    ):
        ident = f"{curves.ident}-{kind}"
        caption = f"{curves.caption} against {x.name.partition(' (')[0]}"
        lines = [
            Line(n, label, places[n], curves.values[n]) for n, label in enumerate(material.labels)
        ]
        chart = line_chart(f"{ident}-plot", caption, said, x, curves.y, lines, target=target)
        drawn += figure(ident, caption, chart + under, note=note)
    return drawn


def _curve_columns(
    labels: list[str], outcomes: tuple[Outcome, ...], name: str
) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {"run": [], "round": [], "wall clock": [], name: []}
    for label, outcome in zip(labels, outcomes, strict=True):
        n_points = len(outcome.curve)
        for n in sorted(set(np.linspace(0, n_points - 1, min(TABLE_ROWS, n_points)).astype(int))):
            columns["run"].append(label)
            columns["round"].append(str(outcome.curve_rounds[n]))
            columns["wall clock"].append(seconds(outcome.curve_s[n]))
            columns[name].append(f"{outcome.curve[n]:.6g}")
    return columns


def _clock(times_s: list[FloatArray]) -> axes.Axis:
    return axes.in_seconds(axes.fit("wall clock", times_s, zero=True, tight=True))
