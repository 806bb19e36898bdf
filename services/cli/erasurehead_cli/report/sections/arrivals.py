"""When each slot arrived, and how often rounds went without it."""

from __future__ import annotations

import numpy as np

from erasurehead_cli.report import heatmap
from erasurehead_cli.report.markup import disclosure, figure, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.results.number_format import percent, seconds
from erasurehead_cli.results.series import Series


def arrivals(material: Material) -> str:
    """Heatmap of slot by round, and how often each slot was missed."""
    drawn = ""
    for n, (series, label) in enumerate(zip(material.every, material.labels, strict=True)):
        grid = series.grid
        note = f"{np.mean(series.n_arrived):.1f} of {len(series.arrived)} results a round arrived"
        shared = {"rounds": grid.rounds_per_cell, "slots": grid.slots_per_cell}
        several = [f"{count} {what}" for what, count in shared.items() if count > 1]
        if several:
            note += f"; a cell is the mean of {' by '.join(several)}"
        if series.n_late:
            note += f"; {series.n_late} came after their round had closed"
        shown = table(_slot_columns(series), f"Slots of {label}")
        drawn += figure(
            f"arrivals-{n}",
            label,
            heatmap.arrivals(f"arrivals-{n}-plot", n, label, series)
            + disclosure("As a table", shown),
            note=note,
            wide=True,
        )
    return section("arrivals", "Arrivals and erasures by slot", drawn)


def _slot_columns(series: Series) -> dict[str, list[str]]:
    n_rounds, n_slots = len(series.rounds), len(series.arrived)
    shown = range(n_slots) if n_slots <= 240 else range(0, n_slots, -(-n_slots // 240))
    columns: dict[str, list[str]] = {
        "slot": [], "arrived": [], "straggled": [], "not filled": [], "missed": [],
        "mean arrival": [],
    }  # fmt: skip
    for slot in shown:
        arrived, straggled = int(series.arrived[slot]), int(series.straggled[slot])
        columns["slot"].append(str(slot))
        columns["arrived"].append(str(arrived))
        columns["straggled"].append(str(straggled))
        columns["not filled"].append(str(n_rounds - arrived - straggled))
        columns["missed"].append(percent(1 - arrived / n_rounds))
        columns["mean arrival"].append(
            seconds(float(series.arrival_sum_s[slot]) / arrived) if arrived else "-"
        )
    return columns
