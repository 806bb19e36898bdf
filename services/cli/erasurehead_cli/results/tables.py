"""A comparison as a table: on the console, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from erasurehead.errors import EXIT_DIVERGED, EXIT_INTERRUPTED, EXIT_NO_WORKERS, EXIT_OK
from erasurehead_cli.results.comparison import Comparison
from erasurehead_cli.results.number_format import fixed, seconds, times
from erasurehead_cli.results.scheme_cell import SchemeCell

ENDS = {
    EXIT_OK: "done",
    EXIT_NO_WORKERS: "no workers",
    EXIT_DIVERGED: "diverged",
    EXIT_INTERRUPTED: "interrupted",
}
"""How runs end, in the words of a table."""

_PAGE_ONLY = ("rounds", "arrivals", "erased tasks", "MB a round", "speed-up a round")


def cells(comparison: Comparison) -> dict[str, list[str]]:
    """Return the columns of the table: heading -> one cell an outcome."""
    every, metric = comparison.outcomes, comparison.metric
    columns = {
        "scheme": [o.scheme for o in every],
        "rounds": [str(o.rounds) for o in every],
        "wall clock": [seconds(o.wall_s) for o in every],
        "a round": [seconds(o.round_s) for o in every],
        "arrivals": [f"{o.arrivals:.1f}" for o in every],
        "erased tasks": [f"{o.erased_tasks:.2f}" for o in every],
        "MB a round": [f"{o.bytes_per_round / 1e6:.2f}" for o in every],
    }
    if metric is not None:
        columns[metric] = [fixed(o.metrics.get(metric)) for o in every]
    if comparison.target is not None:
        to = f"to {metric} {comparison.target:.4f}"
        columns[to] = ["not reached" if o.target_s is None else seconds(o.target_s) for o in every]
        columns["in rounds"] = [
            "-" if o.target_round is None else str(o.target_round) for o in every
        ]
        columns["speed-up"] = [times(o.speedup_to_target) for o in every]
    columns["speed-up a round"] = [times(o.speedup_per_round) for o in every]
    if any(o.way_left is not None for o in every):
        columns["left to optimum"] = [
            "" if o.way_left is None else f"{o.way_left:.1e}" for o in every
        ]
    if any(o.exit_code != EXIT_OK for o in every):
        columns["end"] = [ENDS.get(o.exit_code, f"exit code {o.exit_code}") for o in every]
    return columns


def console_table(comparison: Comparison) -> Table:
    """Return the table for a terminal of 80 columns; the page has more.

    Where that is too narrow, the scheme is folded; numbers never are (`whole.print_whole`).
    """
    table = Table(
        title=comparison.title,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    shown = {k: v for k, v in cells(comparison).items() if k not in _PAGE_ONLY}
    for n, name in enumerate(shown):
        if n == 0:
            table.add_column(name, overflow="fold", min_width=_least_width(shown[name]))
        else:
            table.add_column(_folded(name), justify="right", no_wrap=True)
    for scheme, *numbers in zip(*shown.values(), strict=True):
        table.add_row(SchemeCell(scheme), *map(escape, numbers))
    return table


def _least_width(names: Iterable[str]) -> int:
    """Return how wide names of several words must be for most words to stay whole."""
    words = [len(word) for name in names if " " in name for word in name.split()]
    return min(max([9, *words]), 16)


def _folded(heading: str) -> str:
    """Return a heading on two lines, as narrow as its words allow."""
    words = heading.split()
    folds = [f"{' '.join(words[:n])}\n{' '.join(words[n:])}" for n in range(1, len(words))]
    return min(folds, key=lambda fold: max(map(len, fold.split("\n"))), default=heading)


def markdown(comparison: Comparison, figures: list[str]) -> str:
    """Return the comparison as a page; `figures` are paths relative to it."""
    columns = cells(comparison)
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    lines = [f"# {comparison.title}", "", _line(columns), _line(rule)]
    lines += [_line(row) for row in zip(*columns.values(), strict=True)]
    lines += [line for note in comparison.notes for line in ("", f"{note[0].upper()}{note[1:]}.")]
    lines += ["", f"Speed-ups are against {comparison.baseline}; seed {comparison.seed}."]
    lines += ["Wall clock counts everything from the first round's opening, evaluations included."]
    for path in figures:
        lines += ["", f"![{path.rpartition('.')[0]}]({path})"]
    return "\n".join(lines) + "\n"


def _line(values: Iterable[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"
