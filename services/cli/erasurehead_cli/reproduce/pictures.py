"""The paper's Figures 1 to 4, from our own cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.runs import Run
from erasurehead_cli.reproduce.grid import SETTINGS, UNCODED, DataSet
from erasurehead_cli.reproduce.results import Measured, Results
from erasurehead_cli.results.figures import COLOURS, MARKERS, METRIC_NAMES, draw_figure, log_scale

FEW = (UNCODED, "egc:c=3", "agc:c=3,r=11,scale=none", "agc:c=3,r=11")
"""Drawn as curves, besides all schemes with a cache; the tables have every scheme."""

PANEL = (4.4, 3.6)

NAMES = (
    *(f"{s}-{kind}.png" for s in SETTINGS for kind in ("metric-time", "round-times", "speedups")),
    "stragglers.png",
)
"""Every figure that a page may have."""


def draw_all(results: Results, settings: Sequence[str], directory: Path) -> dict[str, list[Path]]:
    """Draw the figures of each setting; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for setting in settings:
        sets = results.sets(setting)
        if not sets:
            continue
        drawn[setting] = [
            _curves(results, setting, sets, directory / f"{setting}-metric-time.png"),
            _round_times(results, setting, sets, directory / f"{setting}-round-times.png"),
            _speedups(results, setting, sets, directory / f"{setting}-speedups.png"),
        ]
    return drawn


def draw_stragglers(results: Results, settings: Sequence[str], path: Path) -> Path:
    """Draw how late workers are: arrival times of uncoded rounds over the round's median."""

    def fill(figure: Any) -> None:
        axes = figure.subplots()
        lines = [(s, d) for s in settings for d in results.sets(s)]
        for n, (setting, data_set) in enumerate(lines):
            cells = results.cells(data_set, setting, UNCODED)
            ratios = [_lateness(results, m) for m in cells]
            if not ratios:
                continue
            late = np.sort(np.concatenate(ratios))
            axes.plot(
                late,
                np.arange(1, len(late) + 1) / len(late),
                color=COLOURS[n % len(COLOURS)],
                linestyle=("-", "--", ":")[n // len(COLOURS)],
                label=f"{data_set.title}, {setting}",
            )
        log_scale(axes, "x")
        axes.tick_params(axis="x", labelsize="x-small")
        axes.set_xlabel("arrival time over the round's median")
        axes.set_ylabel("share of the arrivals")
        axes.set_title("uncoded: how late the workers are")
        axes.legend(fontsize="small")

    return draw_figure(path, (6.4, 4.0), fill)


def _lateness(results: Results, measured: Measured) -> FloatArray:
    run = Run.open(results.workshop.directory(measured.cell))
    rounds = [np.array([a.after_s for a in record.arrivals]) for record in run]
    return np.concatenate([after / np.median(after) for after in rounds])


def _curves(results: Results, setting: str, sets: Sequence[DataSet], path: Path) -> Path:
    def panel(axes: Any, data_set: DataSet) -> None:
        labels = results.labels(data_set, setting)
        firsts = [results.cells(data_set, setting, label)[0] for label in labels]
        shown = [m for m in firsts if m.cell.label in FEW or m.cell.coding.remembers]
        for n, first in enumerate(shown):
            axes.plot(
                first.curve_s,
                first.curve,
                color=COLOURS[n % len(COLOURS)],
                marker=MARKERS[n % len(MARKERS)],
                linestyle="-" if n < len(COLOURS) else "--",
                markersize=3,
                markevery=max(1, len(first.curve) // 8),
                label=_short(first.cell.label),
            )
        log_scale(axes, "x")
        axes.tick_params(axis="x", labelsize="x-small")
        axes.set_xlabel("wall clock (s)")
        axes.set_ylabel(METRIC_NAMES[data_set.metric])

    return _panels(sets, panel, path, shared_legend=True)


def _round_times(results: Results, setting: str, sets: Sequence[DataSet], path: Path) -> Path:
    labels = _every_label(results, setting, sets)

    def panel(axes: Any, data_set: DataSet) -> None:
        times_ms = [
            np.concatenate([[], *(m.round_times_s for m in results.cells(data_set, setting, x))])
            * 1e3
            for x in labels
        ]
        axes.boxplot(
            times_ms,
            orientation="horizontal",
            widths=0.6,
            showmeans=True,
            patch_artist=True,
            boxprops={"facecolor": COLOURS[5]},
            medianprops={"color": "black"},
            meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black"},
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": "0.5"},
        )
        _name(axes, range(1, len(labels) + 1), labels)
        log_scale(axes, "x")
        axes.tick_params(axis="x", labelsize="x-small")
        axes.set_xlabel("time of a round (ms); diamond: mean")

    return _panels(sets, panel, path, tall=True)


def _speedups(results: Results, setting: str, sets: Sequence[DataSet], path: Path) -> Path:
    labels = _every_label(results, setting, sets)

    def panel(axes: Any, data_set: DataSet) -> None:
        run = results.labels(data_set, setting)
        kinds: tuple[tuple[str, str, Callable[[Measured], float | None]], ...] = (
            ("a round", COLOURS[5], lambda m: results.per_round(m, UNCODED)),
            ("to the target", COLOURS[0], _to(results, "target")),
        )
        for n, (name, colour, value) in enumerate(kinds):
            spreads = [results.spread(data_set, setting, label, value) for label in labels]
            lengths = [0.0 if s is None else s.median for s in spreads]
            bars = axes.barh(
                np.arange(len(labels)) + (n - 0.5) * 0.4, lengths, 0.38, label=name, color=colour
            )
            texts = [
                f"{length:.{1 if length >= 10 else 2}f}x"
                if length
                else "not reached"
                if label in run
                else "not run"
                for label, length in zip(labels, lengths, strict=True)
            ]
            for text in axes.bar_label(bars, texts, padding=2, fontsize="xx-small"):
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        axes.axvline(1.0, color="0.4", linestyle="--", linewidth=1, zorder=0.5)
        _name(axes, range(len(labels)), labels)
        axes.margins(x=0.2)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("times as fast as uncoded")
        axes.legend(fontsize="x-small")

    return _panels(sets, panel, path, tall=True)


def _every_label(results: Results, setting: str, sets: Sequence[DataSet]) -> list[str]:
    """Return the schemes run on any of the sets, so that all panels have the same rows."""
    return list(dict.fromkeys(x for each in sets for x in results.labels(each, setting)))


def _short(label: str) -> str:
    return label.replace(" / first-copy", "")


def _name(axes: Any, places: Sequence[int], labels: Sequence[str]) -> None:
    """Put the schemes beside their rows, the first on top; in the first panel only."""
    first = axes.get_subplotspec().is_first_col()
    axes.set_yticks(places, [_short(x) for x in labels] if first else [""] * len(places))
    axes.tick_params(axis="y", labelsize="x-small")
    axes.invert_yaxis()


def _to(results: Results, kind: str) -> Callable[[Measured], float | None]:
    return lambda m: results.to_value(m, [UNCODED], lambda one: getattr(one, kind))


def _panels(
    sets: Sequence[DataSet],
    panel: Callable[[Any, DataSet], None],
    path: Path,
    *,
    shared_legend: bool = False,
    tall: bool = False,
) -> Path:
    """Draw one panel a data set, side by side."""

    def fill(figure: Any) -> None:
        every = figure.subplots(1, len(sets), squeeze=False)[0]
        for axes, data_set in zip(every, sets, strict=True):
            panel(axes, data_set)
            axes.set_title(data_set.title)
        if shared_legend:
            handles, labels = every[0].get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside lower center", ncols=len(sets), fontsize="small"
            )

    width, height = PANEL
    return draw_figure(
        path, (width * len(sets) + 1.6 * tall, height * (1.5 if tall else 1.3)), fill
    )
