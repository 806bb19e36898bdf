"""How long rounds took, run by run on one axis, beside the ideal."""

from __future__ import annotations

import numpy as np

from erasurehead_cli.report import axes, histograms
from erasurehead_cli.report.markup import disclosure, figure, paragraphs, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.results.number_format import seconds, times


def round_times(material: Material) -> str:
    """How long rounds took, run by run on one axis, with the ideal."""
    durations = [series.duration_s for series in material.every]
    ideals = [ideal for ideal in material.ideals if ideal is not None]
    axis = axes.in_seconds(axes.fit("time of a round", durations + ideals, log_above=8.0))
    drawn = "".join(
        figure(
            f"times-{n}",
            label,
            histograms.key(n, with_ideal=material.ideals[n] is not None)
            + histograms.histogram(
                f"times-{n}-plot",
                f"Times of the rounds of {label}",
                _said_of_times(material, n),
                axis,
                n,
                durations[n],
                material.ideals[n],
            ),
            note=_said_of_times(material, n),
        )
        for n, label in enumerate(material.labels)
    )
    shown = table(_time_columns(material), "Times of a round")
    note = paragraphs(
        ["No delays were injected, so there is no ideal to compare with."] if not ideals else [],
        "note",
    )
    return section(
        "round-times",
        "Time of a round",
        f'{note}<div class="pair">{drawn}</div>{disclosure("As a table", shown)}',
    )


def _said_of_times(material: Material, n: int) -> str:
    mean_s, ideal_s = float(np.mean(material.every[n].duration_s)), material.ideal_mean_s(n)
    if ideal_s is None:
        return f"mean {seconds(mean_s)}"
    return f"mean {seconds(mean_s)}, ideal {seconds(ideal_s)}: {times(mean_s / ideal_s)} the ideal"


def _time_columns(material: Material) -> dict[str, list[str]]:
    durations = [series.duration_s for series in material.every]
    columns = {"run": material.labels}
    quantiles = {"shortest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "longest": 1.0}
    for name, q in quantiles.items():
        columns[name] = [seconds(float(np.quantile(d, q))) for d in durations]
    columns["mean"] = [seconds(float(np.mean(d))) for d in durations]
    ideals = [material.ideal_mean_s(n) for n in range(len(durations))]
    columns["mean ideal"] = ["-" if i is None else seconds(i) for i in ideals]
    return columns
