"""Lines of several runs over time or over rounds."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead_cli.report import symbols
from erasurehead_cli.report.axes import Axis
from erasurehead_cli.report.frame import frame, level, mark, path, points, stretched
from erasurehead_cli.report.thinning import Bins, thin
from erasurehead_cli.results.series import FloatArray

MARKS = 8
"""Markers on a line, about."""


@dataclass(frozen=True)
class Line:
    """One run's line.

    Attributes
    ----------
    style: number of the run, for colour, dash and marker.
    """

    style: int
    label: str
    x: FloatArray
    y: FloatArray


def line_chart(
    ident: str,
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    lines: list[Line],
    *,
    target: float | None = None,
) -> str:
    """Return lines, each thinned to what the eye can tell; `target` is a level across."""
    drawn = [] if target is None else [level(y.at(target), "target")]
    paths, marks = [], []
    for line in lines:
        at_x, at_y = thin(line.x, line.y)
        places = x.place(at_x), y.place(at_y)
        paths.append(path(points(*places), f"line {symbols.line_classes(line.style)}"))
        marks.append(_marks(line, at_x, at_y, places, len(lines)))
    drawn += [stretched("".join(paths)), *marks]
    return symbols.legend([line.label for line in lines]) + frame(
        ident, title, description, x, y, "".join(drawn)
    )


def band_chart(
    ident: str,
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    bands: list[tuple[int, str, Bins]],
) -> str:
    """Return mean lines in bands from the lowest to the highest value: (style, label, bins)."""
    areas, paths = [], []
    for style, _, bins in bands:
        across = x.place(bins.x)
        if bins.size > 1:
            around = points(across, y.place(bins.high)) + points(across, y.place(bins.low))[::-1]
            areas.append(path(around, f"band {symbols.colour(style)}", closed=True))
        paths.append(
            path(points(across, y.place(bins.mean)), f"line {symbols.line_classes(style)}")
        )
    marks = [
        _marks(Line(style, label, bins.x, bins.mean), bins.x, bins.mean, places, len(bands))
        for style, label, bins in bands
        for places in [(x.place(bins.x), y.place(bins.mean))]
    ]
    drawing = stretched("".join(areas + paths)) + "".join(marks)
    return symbols.legend([label for _, label, _ in bands]) + frame(
        ident, title, description, x, y, drawing
    )


def _marks(
    line: Line,
    at_x: FloatArray,
    at_y: FloatArray,
    places: tuple[FloatArray, FloatArray],
    n_lines: int,
) -> str:
    """Return a few markers, set off from those of the other lines."""
    if not len(at_x):
        return ""
    gap = max(1, len(at_x) // MARKS)
    first = line.style * gap // max(1, n_lines) if len(at_x) > MARKS else 0
    chosen = range(min(first, len(at_x) - 1), len(at_x), gap)
    return "".join(
        mark(
            symbols.marker(line.style),
            symbols.colour(line.style),
            (float(places[0][n]), float(places[1][n])),
            f"{line.label}: {at_x[n]:.5g}, {at_y[n]:.5g}",
        )
        for n in chosen
    )
