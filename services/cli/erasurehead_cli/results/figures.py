"""PNG figures of runs. matplotlib is imported when a figure is drawn, and may be missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from erasurehead.process.durable import replace_file
from erasurehead.records import RoundRecord
from erasurehead_cli.results.scheme_cell import folded

if TYPE_CHECKING:
    from erasurehead_cli.results.comparison import Comparison, Outcome

MISSING = "no figures: matplotlib is not installed (pip install 'erasurehead[figures]')"

# Okabe and Ito's palette, which people with any colour vision tell apart; yellow is left out
# because it cannot be seen on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 150
LINE_CHARACTERS = 54
"""That have room below the axes of a figure; each scheme beyond four makes it wider."""

METRIC_NAMES = {
    "auc": "test AUC",
    "accuracy": "test accuracy",
    "log_loss": "test log loss",
    "mse": "test mean squared error",
    "r2": "test R²",
}


def available() -> bool:
    """Tell whether figures can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def log_scale(axes: Any, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic; label 1, 2 and 5 of each decade, in plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def run_figures(records: Sequence[RoundRecord], title: str, directory: Path) -> list[Path]:
    """Draw one run: ``learning.png`` (loss and metric against wall clock), ``rounds.png``."""

    def learning(figure: Any) -> None:
        evaluated = [r for r in records if r.metrics]
        metric = next(iter(evaluated[0].metrics)) if evaluated else None
        axes = figure.subplots(2 if metric else 1, 1, sharex=True, squeeze=False)[:, 0]
        closed = [r.closed_s for r in records]
        axes[0].plot(closed, [r.train_loss for r in records], color=COLOURS[0])
        axes[0].set_ylabel("training loss")
        axes[0].set_title(title)
        if metric:
            axes[1].plot(
                [r.closed_s for r in evaluated],
                [r.metrics[metric] for r in evaluated],
                color=COLOURS[1],
                marker="o",
                markersize=3,
            )
            axes[1].set_ylabel(METRIC_NAMES.get(metric, metric))
        axes[-1].set_xlabel("wall clock (s)")

    def rounds(figure: Any) -> None:
        axes = figure.subplots()
        seconds, unit = _seconds([r.duration_s for r in records])
        axes.plot([r.round for r in records], seconds, ".", color=COLOURS[0], markersize=4)
        mean = float(np.mean(seconds))
        axes.axhline(mean, color=COLOURS[1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("round")
        axes.set_ylabel(f"time of a round ({unit})")
        axes.set_title(f"{title} (line: mean, {mean:.3g} {unit})")

    return [
        draw_figure(directory / "learning.png", (6.4, 5.6), learning),
        draw_figure(directory / "rounds.png", (6.4, 3.6), rounds),
    ]


def comparison_figures(comparison: Comparison, directory: Path) -> list[Path]:
    """Draw a comparison: metric against wall clock, times of a round, speed-ups.

    The first and the last are the kinds of Figures 2 and 3 of arXiv 1901.09671.
    """
    width = max(6.4, 1.5 * len(comparison.outcomes))
    drawn = [("round-times", width, _round_times), ("speedup", width, _speedups)]
    if comparison.metric is not None:
        drawn.insert(0, ("metric-time", 6.4, _metric_against_time))
    return [
        draw_figure(directory / f"{name}.png", (wide, 4.0), partial(fill, comparison))
        for name, wide, fill in drawn
    ]


def _metric_against_time(comparison: Comparison, figure: Any) -> None:
    axes = figure.subplots()
    for i, outcome in enumerate(comparison.outcomes):
        axes.plot(
            outcome.curve_s,
            outcome.curve,
            color=_colour(i),
            marker=MARKERS[i % len(MARKERS)],
            markersize=4,
            markevery=max(1, len(outcome.curve) // 12),
            label=outcome.scheme,
        )
    if comparison.target is not None:
        axes.axhline(
            comparison.target,
            color="0.4",
            linestyle="--",
            linewidth=1,
            label=f"target {comparison.target:.4f}",
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("wall clock (s)")
    axes.set_ylabel(METRIC_NAMES.get(comparison.metric or "", comparison.metric))
    axes.set_title(comparison.title)
    axes.legend()


def _round_times(comparison: Comparison, figure: Any) -> None:
    axes, outcomes = figure.subplots(), comparison.outcomes
    scaled, unit = _seconds(np.concatenate([o.round_times_s for o in outcomes]))
    boxes = axes.boxplot(
        np.split(scaled, np.cumsum([len(o.round_times_s) for o in outcomes])[:-1]),
        positions=np.arange(len(outcomes)),
        widths=0.5,
        showmeans=True,
        patch_artist=True,
        medianprops={"color": "black"},
        meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black"},
        flierprops={"marker": ".", "markersize": 4, "markeredgecolor": "0.4"},
    )
    for i, box in enumerate(boxes["boxes"]):
        box.set_facecolor(_colour(i))
        box.set_alpha(0.75)
    _name_schemes(axes, outcomes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"time of a round ({unit})")
    axes.set_title(f"{comparison.title} (diamond: mean)")


def _speedups(comparison: Comparison, figure: Any) -> None:
    axes, outcomes = figure.subplots(), comparison.outcomes
    positions = np.arange(len(outcomes))
    kinds: list[tuple[str, Callable[[Outcome], float | None], str]] = [
        ("a round", lambda o: o.speedup_per_round, "#56B4E9"),
        ("to the target", lambda o: o.speedup_to_target, "#0072B2"),
    ]
    for i, (label, speedup, colour) in enumerate(kinds):
        heights = [speedup(o) for o in outcomes]
        bars = axes.bar(
            positions + (i - 0.5) * 0.38,
            [0.0 if h is None else h for h in heights],
            0.36,
            label=label,
            color=colour,
        )
        axes.bar_label(bars, ["n/a" if h is None else f"{h:.1f}x" for h in heights], padding=2)
    axes.axhline(1.0, color="0.4", linestyle="--", linewidth=1)
    _name_schemes(axes, outcomes)
    axes.margins(y=0.15)
    axes.set_ylabel("\n".join(["times as fast as", *folded(comparison.baseline, 30)]))
    axes.set_title(comparison.title)
    axes.legend(loc="upper left")


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def draw_figure(path: Path, size: tuple[float, float], fill: Callable[[Any], None]) -> Path:
    """Draw and save one figure, on the Agg canvas, without matplotlib's global state."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    look: dict[Any, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "0.9",
        "axes.titlesize": "medium",
        "legend.frameon": False,
    }
    with rc_context(look):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        fill(figure)
        replace_file(path, lambda file: figure.savefig(file, format="png", dpi=DPI))
    return path


def _seconds(values: Sequence[float] | np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], str]:
    """Return times in the unit that suits them, and its name."""
    array = np.asarray(values, dtype=float)
    if array.size and float(np.median(array)) < 0.1:
        return array * 1e3, "ms"
    return array, "s"


def _name_schemes(axes: Any, outcomes: Sequence[Outcome]) -> None:
    """Put the schemes below their bars or boxes, each folded into the room that it has."""
    room = max(LINE_CHARACTERS // len(outcomes), 12)
    names = ["\n".join(folded(outcome.scheme, room)) for outcome in outcomes]
    axes.set_xticks(range(len(names)), names)
    axes.grid(visible=False, axis="x")
