"""Bars below their names and values: the chart is its own table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from erasurehead_cli.report import symbols


def bar_table(
    caption: str,
    labels: Sequence[str],
    values: Sequence[float | None],
    texts: Sequence[str],
) -> str:
    """Return one bar a run, from 0; None has no bar, only its text."""
    largest = max((v for v in values if v is not None), default=0.0) or 1.0
    rows = []
    for n, (label, value, text) in enumerate(zip(labels, values, texts, strict=True)):
        drawn = _rect(0.0, (value or 0.0) / largest, f'class="bar {symbols.colour(n)}"')
        rows.append(_row(symbols.key(n), label, text, drawn))
    return _table(caption, rows)


def stacked_table(
    caption: str,
    labels: Sequence[str],
    phases: Mapping[str, Sequence[float]],
    texts: Sequence[str],
) -> str:
    """Return one stacked bar a run; `phases` maps a phase of `symbols.PHASES` to a value a run."""
    totals = [sum(values) for values in zip(*phases.values(), strict=True)]
    largest = max(totals, default=0.0) or 1.0
    rows = []
    for n, (label, text) in enumerate(zip(labels, texts, strict=True)):
        drawn, at = "", 0.0
        for phase, values in phases.items():
            drawn += _rect(at / largest, values[n] / largest, f'fill="url(#h-{phase})"')
            at += values[n]
        rows.append(_row("", label, text, drawn))
    return _table(caption, rows)


def _rect(start: float, length: float, attributes: str) -> str:
    if length <= 0:
        return ""
    return f'<rect x="{100 * start:.4g}%" width="{100 * length:.4g}%" height="16" {attributes}/>'


def _row(key: str, label: str, text: str, drawn: str) -> str:
    return (
        f'<div role="row"><span role="rowheader">{key} {escape(label)}</span>'
        f'<span role="cell">{escape(text)}</span>'
        f'<svg width="100%" height="16" aria-hidden="true">{drawn}</svg></div>'
    )


def _table(caption: str, rows: Sequence[str]) -> str:
    return f'<div class="rows" role="table" aria-label="{escape(caption)}">{"".join(rows)}</div>'
