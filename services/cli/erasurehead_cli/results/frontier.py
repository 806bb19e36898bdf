"""What a plan found: time to target against data stored, as a table, a figure and plain values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from erasurehead_cli.results import figures
from erasurehead_cli.results.number_format import seconds, size
from erasurehead_cli.results.scheme_cell import SchemeCell, folded
from erasurehead_simulator.laws.quantities import Quantity
from erasurehead_simulator.planner.results import SearchResult, Trial

MISSED = "not reached"
LABEL_CHARACTERS = 20
"""Of a line of a label in the figure."""

WIDE = 5.0
"""Times further apart than this factor are drawn on a logarithmic axis."""


def table(result: SearchResult, title: str, workers: int) -> Table:
    """Return the trials by load, those on the frontier marked."""
    held = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    held.add_column("stored\na worker", justify="right", no_wrap=True)
    # The one column that gives way where the terminal is narrow.
    held.add_column("scheme", overflow="fold", min_width=12)
    held.add_column(f"to {result.target}\nmedian (range)", justify="right", no_wrap=True)
    held.add_column("rounds", justify="right", no_wrap=True)
    held.add_column("a round\n(theory)", justify="right", no_wrap=True)
    held.add_column("decode\nerror", justify="right", no_wrap=True)
    frontier = result.frontier
    for trial in result.trials:
        mark, style = ("*", "bold") if trial in frontier else (" ", "")
        held.add_row(
            f"{size(stored_bytes(result, trial, workers))} {mark}",
            SchemeCell(trial.candidate.text),
            _times(trial),
            "-" if math.isinf(trial.median_rounds) else f"{trial.median_rounds:.0f}",
            _round(trial),
            f"{trial.decode_error:.2f}",
            style=style,
        )
    return held


def stored_bytes(result: SearchResult, trial: Trial, workers: int) -> float:
    """Return the bytes of the training rows that the fullest worker stores."""
    return result.stored_bytes * trial.candidate.load / workers


def caption(result: SearchResult) -> list[str]:
    """Return how far the table can be trusted."""
    lines = [
        f"rounds were counted on {result.sample_rows:,} of {result.training_rows:,} rows, where"
        f" exact {result.exact_method} needs {result.exact_rounds}"
    ]
    if result.seeds > 1:
        lines.append(
            f"range: smallest and largest of {result.seeds} seeds, which holds the median of all"
            f" runs with probability {result.confidence:.0%} if the delay model is right; schemes"
            " that were far behind with the first seed have one time only"
        )
        if result.rivals:
            lines.append(
                f"the best one's range overlaps those of {len(result.rivals)} more, which may be"
                " as good; more --seeds would tell"
            )
    else:
        lines.append("one seed says nothing about the spread; give --seeds 5")
    return lines


def draw(result: SearchResult, title: str, workers: int, path: Path) -> list[Path]:
    """Draw time against stored data."""

    def fill(figure: Any) -> None:
        axes = figure.subplots()
        megabytes = {id(t): stored_bytes(result, t, workers) / 1e6 for t in result.trials}
        reached = [t for t in result.trials if math.isfinite(t.median_s)]
        frontier = result.frontier
        for trial in reached:
            times = [time_s for time_s in trial.times_s if math.isfinite(time_s)]
            chosen = trial in frontier
            axes.errorbar(
                [megabytes[id(trial)]],
                [trial.median_s],
                [[trial.median_s - min(times)], [max(max(times) - trial.median_s, 0.0)]],
                fmt="o" if chosen else ".",
                color=figures.COLOURS[1] if chosen else "0.6",
                capsize=3,
                zorder=3 if chosen else 2,
            )
        axes.plot(
            [megabytes[id(t)] for t in frontier],
            [t.median_s for t in frontier],
            color=figures.COLOURS[1],
            zorder=1,
        )
        for trial in frontier:
            axes.annotate(
                _in_lines(trial.candidate.text),
                (megabytes[id(trial)], trial.median_s),
                xytext=(6, 4),
                textcoords="offset points",
                fontsize="x-small",
            )
        slowest, fastest = max(t.median_s for t in reached), min(t.median_s for t in reached)
        if slowest > WIDE * fastest:
            figures.log_scale(axes, "y")
        else:
            axes.set_ylim(bottom=0)
        axes.margins(x=0.4)
        axes.set_xlabel("training rows stored by a worker (MB)")
        axes.set_ylabel(f"time to {result.target} (s)")
        axes.set_title(title)

    if not figures.available():
        return []
    return [figures.draw_figure(path, (7.2, 4.8), fill)]


def _in_lines(scheme: str) -> str:
    """Break a scheme between its parts and options, so that a label stays beside its point."""
    return "\n".join(folded(scheme, LABEL_CHARACTERS))


def to_json(result: SearchResult, workers: int) -> dict[str, Any]:
    """Return plain values."""
    frontier = result.frontier
    return {
        "target": {"metric": result.target.metric, "value": result.target.value},
        "seeds": result.seeds,
        "schemes_screened": result.n_candidates,
        "sample_rows": result.sample_rows,
        "exact_method": result.exact_method,
        "exact_rounds": result.exact_rounds,
        "best": result.best.candidate.text,
        "trials": [
            {
                "scheme": trial.candidate.text,
                "load": trial.candidate.load,
                "stored_bytes": stored_bytes(result, trial, workers),
                "on_frontier": trial in frontier,
                "median_s": trial.median_s,
                "times_s": list(trial.times_s),
                "rounds": list(trial.rounds),
                "round_s": trial.round_s,
                "expected_round_s": trial.expected.mean(Quantity.ROUND_S),
                "erased_share": trial.erased_share,
                "decode_error": trial.decode_error,
            }
            for trial in result.trials
        ],
    }


def _times(trial: Trial) -> str:
    if math.isinf(trial.median_s):
        return MISSED
    text = seconds(trial.median_s)
    if len(trial.times_s) > 1:
        longest = max(trial.times_s)
        latest = "never" if math.isinf(longest) else seconds(longest)
        earliest, unit = seconds(min(trial.times_s)).split(" ")
        first = earliest if latest.endswith(f" {unit}") else f"{earliest} {unit}"
        text += f"\n{first} to {latest}"
    return text


def _round(trial: Trial) -> str:
    expected = trial.expected.mean(Quantity.ROUND_S)
    theory = "" if expected is None else f"\n({seconds(expected)})"
    return f"{seconds(trial.round_s)}{theory}"
