"""Where the master's wall clock went."""

from __future__ import annotations

import numpy as np

from erasurehead_cli.report import bars, symbols
from erasurehead_cli.report.markup import disclosure, figure, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.results.number_format import seconds

PHASE_NAMES = {
    "wait": "waiting for results",
    "encode": "encoding and sending",
    "decode": "receiving and decoding",
    "step": "step of the method",
    "evaluation": "evaluation",
    "other": "between rounds",
}


def phases(material: Material) -> str:
    """Where the master's wall clock went."""
    spent = _phases(material)
    own = {phase: values for phase, values in spent.items() if phase != "wait"}
    drawn = ""
    for ident, caption, shown in (
        ("all-phases", "All of the wall clock", spent),
        ("own-phases", "Without waiting", own),
    ):
        totals = [sum(values) for values in zip(*shown.values(), strict=True)]
        listed = "".join(symbols.phase_key(phase, PHASE_NAMES[phase]) for phase in shown)
        drawn += figure(
            ident,
            caption,
            f'<ul class="legend">{listed}</ul>'
            + bars.stacked_table(
                f"{caption}, time a round",
                material.labels,
                shown,
                [seconds(total) for total in totals],
            ),
            note="wall clock of the run divided by its rounds",
        )
    columns = {"run": material.labels}
    columns |= {PHASE_NAMES[p]: [seconds(v) for v in values] for p, values in spent.items()}
    content = disclosure("As a table", table(columns, "The master's time, a round"))
    return section("phases", "The master's time", f'<div class="pair">{drawn}</div>{content}')


def _phases(material: Material) -> dict[str, list[float]]:
    """Return seconds a round in each phase: phase -> one value a run."""
    spent: dict[str, list[float]] = {phase: [] for phase in symbols.PHASES}
    for series in material.every:
        summary, n_rounds = series.run.summary, len(series.rounds)
        assert summary is not None
        own = {
            "wait": float(np.sum(series.wait_s)),
            "encode": float(np.sum(series.encode_s)),
            "decode": float(np.sum(series.decode_s)),
            "step": float(np.sum(series.step_s)),
            "evaluation": summary.evaluation_s,
        }
        own["other"] = max(0.0, summary.wall_s - sum(own.values()))
        for phase, total in own.items():
            spent[phase].append(total / n_rounds)
    return spent
