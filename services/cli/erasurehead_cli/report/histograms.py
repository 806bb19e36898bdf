"""How often a round took how long, beside the ideal of the drawn delays."""

from __future__ import annotations

import numpy as np

from erasurehead_cli.report import symbols
from erasurehead_cli.report.axes import Axis
from erasurehead_cli.report.frame import frame, path, points, stretched, upright
from erasurehead_cli.results.series import FloatArray

MOST_BINS = 60


def histogram(
    ident: str,
    title: str,
    description: str,
    x: Axis,
    style: int,
    measured: FloatArray,
    ideal: FloatArray | None,
) -> str:
    """Return measured values as an area and ideal ones as an outline, with their means."""
    n_bins = min(MOST_BINS, 4 + int(2.5 * len(measured) ** 0.5))
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    shares = _shares(x, measured, edges)
    outline = None if ideal is None else _shares(x, ideal, edges)
    top = max(float(s.max()) for s in (shares, outline) if s is not None)
    y = Axis("rounds (%)", 0.0, 1.08 * top or 1.0, unit=0.01)
    paths = [path(_steps(edges, y.place(shares)), f"bars {symbols.colour(style)}", closed=True)]
    means = [upright(x.at(float(np.mean(measured))), f"mean {symbols.colour(style)}")]
    if ideal is not None and outline is not None:
        paths.append(path(_steps(edges, y.place(outline)), "ideal"))
        means.append(upright(x.at(float(np.mean(ideal))), "ideal-mean"))
    drawing = stretched("".join(paths)) + "".join(means)
    return frame(ident, title, description, x, y, drawing, height_px=130)


def key(style: int, *, with_ideal: bool) -> str:
    """Return the legend of a histogram."""
    colour = symbols.colour(style)
    items = [
        f'<rect class="bars {colour}" x="1" y="3" width="36" height="9"/>|measured',
        f'<line class="mean {colour}" x1="19" x2="19" y1="0" y2="14"/>|its mean',
    ]
    if with_ideal:
        items += [
            '<path class="ideal" d="M1 12V4H37V12"/>|ideal of the drawn delays',
            '<line class="ideal-mean" x1="19" x2="19" y1="0" y2="14"/>|mean of the ideal',
        ]
    parts = [item.partition("|") for item in items]
    listed = "".join(
        f'<li><svg class="key" width="38" height="14" aria-hidden="true">{drawing}</svg>'
        f" {label}</li>"
        for drawing, _, label in parts
    )
    return f'<ul class="legend">{listed}</ul>'


def _shares(x: Axis, values: FloatArray, edges: FloatArray) -> FloatArray:
    # Clipped, because the first and last value may be rounded out of the axis they define.
    counts, _ = np.histogram(np.clip(x.place(values), 0.0, 1.0), edges)
    return np.asarray(counts / max(len(values), 1))


def _steps(edges: FloatArray, heights: FloatArray) -> list[str]:
    """Return the outline of bars that stand side by side; runs of empty bins in one stroke."""
    across = np.repeat(edges, 2)
    up = np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])
    # A corner between two equal neighbours adds nothing.
    needed = np.ones(len(up), dtype=bool)
    needed[1:-1] = (up[1:-1] != up[:-2]) | (up[1:-1] != up[2:])
    return points(across[needed], up[needed])
