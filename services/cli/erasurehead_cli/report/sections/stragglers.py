"""Who held a run up."""

from __future__ import annotations

from erasurehead_cli.report.markup import disclosure, paragraphs, section, table
from erasurehead_cli.report.material import Material


def stragglers(material: Material) -> str:
    """Sentences of each run, and a table of its slots."""
    said = ""
    for series, label in zip(material.every, material.labels, strict=True):
        found = series.stragglers
        named = [f"{label}: {found.sentences()[0]}", *found.sentences()[1:]]
        shown = table(found.columns(), f"Lateness of the slots of {label}", names=2)
        said += paragraphs(named) + disclosure("As a table", shown)
    return section("stragglers", "Who held it up", said)
