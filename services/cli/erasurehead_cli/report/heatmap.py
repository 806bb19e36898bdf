"""When each slot arrived: a picture of slots by rounds, and how often rounds went without it.

The picture is a PNG of one pixel a cell, written here and put into the page: as SVG it would be
a hundred times as large.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from html import escape

import numpy as np

from erasurehead_cli.report import symbols
from erasurehead_cli.report.axes import Axis
from erasurehead_cli.report.frame import image, path, points, stretched
from erasurehead_cli.results.number_format import percent, seconds
from erasurehead_cli.results.series import ArrivalGrid, FloatArray, Series

LEVELS = 16
"""Colours, and as many degrees of opacity: together the 256 entries of a PNG's palette."""

# From early to late; lightness falls steadily, so the order survives any colour vision and grey.
_ANCHORS = ((252, 210, 60), (240, 130, 70), (190, 60, 110), (100, 30, 130))

_QUARTERS = "".join(f'<line x1="{x}%" x2="{x}%" y1="0" y2="100%"/>' for x in (0, 25, 50, 75, 100))


def arrivals(ident: str, style: int, label: str, series: Series) -> str:
    """Return the heatmap of one run with bars of missed rounds at its right, row by row."""
    grid = series.grid
    latest_s = _latest(grid.mean_s)
    height_px = int(np.clip(14 * len(grid.share), 84, 420))
    n_rounds, n_slots = len(series.rounds), len(series.arrived)
    missed = 1.0 - series.arrived / n_rounds
    worst = int(np.argmax(missed))
    said = (
        f"Arrival times of {label}: {n_slots} slots by {n_rounds} rounds. On average"
        f" {np.mean(missed):.0%} of the results had not arrived when the round closed; slot"
        f" {worst} was missed most often, in {percent(float(missed[worst]))} of the rounds."
    )
    rounds = Axis("round", series.rounds[0] - 0.5, series.rounds[-1] + 0.5)
    slots = Axis("slot", -0.5, n_slots - 0.5)
    across = "".join(
        f'<span style="left:{100 * place:.4g}%">{text}</span>' for place, text in rounds.ticks()
    )
    down = "".join(
        f'<span style="top:{100 * place:.4g}%">{text}</span>'
        for place, text in slots.ticks()
        if "." not in text
    )
    cells = b64encode(picture(grid, latest_s)).decode()
    return (
        f'{_key(latest_s, grid)}<div class="plot heat"><div class="y-name" aria-hidden="true">slot'
        f'</div><div class="y-ticks" aria-hidden="true">{down}</div>'
        f'<img class="cells" alt="{escape(said)}" height="{height_px}"'
        f' src="data:image/png;base64,{cells}">'
        f'<div class="missed">{_missed(ident, style, label, missed, height_px)}</div>'
        f'<div class="x-ticks" aria-hidden="true">{across}</div>'
        '<div class="x-name" aria-hidden="true">round</div>'
        '<div class="missed-name" aria-hidden="true">missed (0 to 100 %)</div></div>'
    )


def png(
    cells: np.ndarray[tuple[int, int], np.dtype[np.uint8]], palette: bytes, alpha: bytes
) -> bytes:
    """Return an image of palette indices, shape (height, width), as a PNG file.

    Parameters
    ----------
    palette: red, green and blue of each entry.
    alpha: opacity of each entry.
    """
    height, width = cells.shape
    # Each line begins with the number of its filter; 0 is none.
    lines = np.zeros((height, width + 1), dtype=np.uint8)
    lines[:, 1:] = cells
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", palette),
            (b"tRNS", alpha),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def colours() -> FloatArray:
    """Return the scale's colours from early to late, shape (LEVELS, 3), 0 to 255."""
    anchors = np.array(_ANCHORS, dtype=float)
    at = np.linspace(0, len(anchors) - 1, LEVELS)
    return np.stack([np.interp(at, np.arange(len(anchors)), c) for c in anchors.T], axis=1)


def _latest(mean_s: FloatArray) -> float:
    """Return the arrival time where the scale ends: late, but not led by a single outlier."""
    known = mean_s[np.isfinite(mean_s)]
    return float(np.quantile(known, 0.99)) if known.size else 0.0


def picture(grid: ArrivalGrid, latest_s: float) -> bytes:
    """Return one pixel a cell, early to late in colour, clear where nothing arrived, as a PNG."""
    late = np.nan_to_num(grid.mean_s / (latest_s or 1.0))
    colour = np.clip(late * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    # Rounded up, so that a single arrival among many rounds leaves a trace.
    opacity = np.ceil(np.clip(grid.share, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    palette = np.repeat(colours().round().astype(np.uint8), LEVELS, axis=0)
    alpha = np.tile(np.linspace(0, 255, LEVELS).round().astype(np.uint8), LEVELS)
    return png(colour * LEVELS + opacity, palette.tobytes(), alpha.tobytes())


def _key(latest_s: float, grid: ArrivalGrid) -> str:
    steps = colours().round().astype(int).tolist()
    scale = "".join(
        f'<rect x="{6 * n}" width="6.5" height="14" fill="rgb({r},{g},{b})"/>'
        for n, (r, g, b) in enumerate(steps)
    )
    shared = grid.slots_per_cell * grid.rounds_per_cell > 1
    blank = "nothing arrived"
    if shared:
        blank += "; the fainter a cell, the fewer results"
    return (
        f'<ul class="legend"><li>arrived after 0 s <svg class="key" width="{6 * LEVELS}"'
        f' height="14" aria-hidden="true">{scale}</svg> {escape(seconds(latest_s))} or later</li>'
        '<li><svg class="key" width="20" height="14" aria-hidden="true">'
        f'<rect class="blank" width="20" height="14"/></svg> {blank}</li></ul>'
    )


def _missed(ident: str, style: int, label: str, missed: FloatArray, height_px: int) -> str:
    """Return a bar a slot (or a row of slots, by their mean), from the left."""
    size = -(-len(missed) // 240)
    starts = np.arange(0, len(missed), size)
    means = np.add.reduceat(missed, starts) / np.diff(np.append(starts, len(missed)))
    edges = np.append(starts, len(missed)) / len(missed)
    gap = 0.12 / len(missed) if len(means) <= 60 else 0.0
    areas = "".join(
        path(
            points(np.array([0.0, m, m, 0.0]), 1.0 - np.array([a, a, b, b])),
            f"bars {symbols.colour(style)}",
            closed=True,
        )
        for a, b, m in zip(edges[:-1] + gap, edges[1:] - gap, means, strict=True)
        if m > 0
    )
    return image(
        f"{ident}-missed",
        f"Rounds that missed each slot of {label}",
        "; ".join(
            f"slot {s}: {percent(float(m))}" for s, m in zip(starts[:60], means[:60], strict=True)
        ),
        f'<g class="grid">{_QUARTERS}</g>{stretched(areas)}',
        height_px,
    )
