"""How good the decoded gradients were, and why rounds closed."""

from __future__ import annotations

import numpy as np

from erasurehead_cli.report import axes
from erasurehead_cli.report.lines import band_chart
from erasurehead_cli.report.markup import disclosure, figure, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.report.thinning import binned
from erasurehead_cli.results.number_format import percent
from erasurehead_cli.results.series import FloatArray


def decoding(material: Material) -> str:
    """Decode error, erased tasks, and why rounds closed."""
    drawn = ""
    for ident, caption, of in (
        ("decode-error", "Decode error", [s.decode_error for s in material.every]),
        ("erased-tasks", "Erased tasks", [s.erased_tasks for s in material.every]),
    ):
        bands = [
            (n, label, binned(series.rounds.astype(float), of[n]))
            for n, (series, label) in enumerate(zip(material.every, material.labels, strict=True))
        ]
        largest = max(bins.size for _, _, bins in bands)
        note = "||alpha - 1||² / n" if ident == "decode-error" else "tasks that no survivor covers"
        if largest > 1:
            note += f"; means of up to {largest} rounds, in bands from lowest to highest"
        drawn += figure(
            ident,
            f"{caption} of each round",
            band_chart(
                f"{ident}-plot",
                f"{caption} against rounds",
                "; ".join(
                    f"{label}: mean {np.mean(values):.3g}, largest {np.max(values):.3g}"
                    for label, values in zip(material.labels, of, strict=True)
                ),
                material.rounds_axis,
                axes.fit(
                    caption.lower(), [b for _, _, x in bands for b in (x.low, x.high)], zero=True
                ),
                bands,
            ),
            note=note,
        )
    shown = table(_decoding_columns(material), "Decoding")
    shown += table(_reason_columns(material), "Why rounds closed", names=2)
    return section(
        "decoding",
        "Decoding",
        f'<div class="pair">{drawn}</div>{disclosure("As tables, with why rounds closed", shown)}',
    )


def _decoding_columns(material: Material) -> dict[str, list[str]]:
    def means(of: list[FloatArray]) -> list[str]:
        return [f"{np.mean(values):.3g}" for values in of]

    errors = [series.decode_error for series in material.every]
    erased = [series.erased_tasks for series in material.every]
    return {
        "run": material.labels,
        "mean decode error": means(errors),
        "largest": [f"{np.max(values):.3g}" for values in errors],
        "mean erased tasks": means(erased),
        "most": [f"{np.max(values):.0f}" for values in erased],
        "rounds without an erased task": [percent(float(np.mean(v == 0))) for v in erased],
    }


def _reason_columns(material: Material) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {"run": [], "reason": [], "rounds": []}
    for series, label in zip(material.every, material.labels, strict=True):
        common = series.reasons.most_common(8)
        left = len(series.rounds) - sum(count for _, count in common)
        for reason, count in [*common, ("other reasons", left)] if left else common:
            columns["run"].append(label)
            columns["reason"].append(reason)
            columns["rounds"].append(str(count))
    return columns
