"""Axes around a plot.

The axes' text is HTML beside the drawing, placed in percent, so it keeps its size while the
drawing stretches. What is drawn with `stretched` uses coordinates from 0 to 1000 both ways, y
downwards; lines keep their width.
"""

from __future__ import annotations

from html import escape

import numpy as np

from erasurehead_cli.report.axes import Axis
from erasurehead_cli.results.series import FloatArray

SPAN = 1000


def frame(
    ident: str,
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    drawing: str,
    *,
    height_px: int = 220,
) -> str:
    """Return a plot with both axes and a grid.

    `title` and `description` are read out instead of the drawing.
    """
    across, up = x.ticks(), y.ticks()
    grid = "".join(
        f'<line x1="0" x2="100%" y1="{_percent(1 - place)}" y2="{_percent(1 - place)}"/>'
        for place, _ in up
    )
    grid += "".join(
        f'<line x1="{_percent(place)}" x2="{_percent(place)}" y1="0" y2="100%"/>'
        for place, _ in across
    )
    below = "".join(
        f'<span style="left:{_percent(place)}">{escape(label)}</span>' for place, label in across
    )
    beside = "".join(
        f'<span style="top:{_percent(1 - place)}">{escape(label)}</span>' for place, label in up
    )
    shown = image(ident, title, description, f'<g class="grid">{grid}</g>{drawing}', height_px)
    return (
        f'<div class="plot"><div class="y-name" aria-hidden="true">{escape(y.name)}</div>'
        f'<div class="y-ticks" aria-hidden="true">{beside}</div>'
        f"{shown}"
        f'<div class="x-ticks" aria-hidden="true">{below}</div>'
        f'<div class="x-name" aria-hidden="true">{escape(x.name)}</div></div>'
    )


def image(ident: str, title: str, description: str, drawing: str, height_px: int) -> str:
    """Return a drawing as wide as its place, with what is read out instead of it."""
    return (
        f'<svg role="img" aria-labelledby="{ident}-t {ident}-d" width="100%"'
        f' height="{height_px}"><title id="{ident}-t">{escape(title)}</title>'
        f'<desc id="{ident}-d">{escape(description)}</desc>{drawing}</svg>'
    )


def stretched(content: str) -> str:
    """Return paths in coordinates of 0 to 1000 that fill the plot."""
    return (
        f'<svg viewBox="0 0 {SPAN} {SPAN}" preserveAspectRatio="none" width="100%"'
        f' height="100%">{content}</svg>'
    )


def points(x: FloatArray, y: FloatArray) -> list[str]:
    """Return coordinates for `stretched` from places of 0 to 1, y upwards."""
    across = np.round(x * SPAN, 1)
    down = np.round((1 - y) * SPAN, 1)
    return [f"{a:.5g} {b:.5g}" for a, b in zip(across.tolist(), down.tolist(), strict=True)]


def path(corners: list[str], classes: str, *, closed: bool = False) -> str:
    """Return a path through corners; nothing if there are none."""
    if not corners:
        return ""
    if len(corners) == 1:
        corners = corners * 2  # a point of its own is drawn as a dot, by its round cap
    end = "Z" if closed else ""
    return f'<path class="{classes}" d="M{"L".join(corners)}{end}"/>'


def upright(place: float, classes: str) -> str:
    """Return a vertical line across the plot."""
    at = _percent(place)
    return f'<line class="{classes}" x1="{at}" x2="{at}" y1="0" y2="100%"/>'


def level(place: float, classes: str) -> str:
    """Return a horizontal line across the plot."""
    at = _percent(1 - place)
    return f'<line class="{classes}" x1="0" x2="100%" y1="{at}" y2="{at}"/>'


def mark(marker: str, classes: str, place: tuple[float, float], tip: str) -> str:
    """Return a marker at a place of 0 to 1 both ways, y upwards; `tip` is shown on hovering."""
    return (
        f'<use class="mark {classes}" href="#{marker}" x="{_percent(place[0])}"'
        f' y="{_percent(1 - place[1])}"><title>{escape(tip)}</title></use>'
    )


def _percent(place: float) -> str:
    return f"{100 * place:.4g}%"
